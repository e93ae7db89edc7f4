/// Text in aligned columns; the first column to the left, the others as `rightAligned` says.
struct Table {
    private var rows: [[String]] = []
    private let rightAligned: Bool

    init(header: [String] = [], rightAligned: Bool = true) {
        self.rightAligned = rightAligned
        if !header.isEmpty {
            rows.append(header)
            rows.append([])
        }
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var lines: [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            if row.isEmpty { return widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ") }
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column > 0 && rightAligned ? padding + cell : cell + padding
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    func write() { lines.forEach { print($0) } }
}
