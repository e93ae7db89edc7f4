import OunceCompress

/// Layers down, changes across: a bar for what each costs.
struct SensitivityPlot {
    let result: SensitivityAnalysis.Result
    let metric: Metric
    let title: String

    private static let (row, column, names, top) = (18, 110, 280, 64)

    var svg: String {
        let transforms = result.layers.reduce(into: [String]()) { found, layer in
            for change in layer.changes where !found.contains(change.transform) { found.append(change.transform) }
        }
        let largest = result.layers.flatMap(\.changes).map(\.drop).filter(\.isFinite).max() ?? 0
        let width = Self.names + Self.column * transforms.count + 10
        let height = Self.top + Self.row * result.layers.count + 10
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" "
                + "font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text(
                8, 20,
                "\(title): \(result.metric) \(Text.accuracy(metric, result.float.value)) in float, "
                    + "\(result.float.samples) samples"),
            text(
                8, 36, (metric == .mse ? "per cent of more error" : "points lost") + " when one layer alone is changed"),
        ]
        for (place, name) in transforms.enumerated() {
            lines.append(text(Self.names + place * Self.column, Self.top - 8, name))
        }
        for (index, layer) in result.layers.enumerated() {
            let y = Self.top + index * Self.row
            lines.append(text(8, y + 13, String(layer.name.suffix(38))))
            for change in layer.changes {
                guard let place = transforms.firstIndex(of: change.transform), change.drop.isFinite else { continue }
                let x = Self.names + place * Self.column
                let share = largest > 0 ? max(0, min(1, change.drop / largest)) : 0
                let length = Text.number(share * Double(Self.column - 50), 1)
                lines.append(
                    "<rect x=\"\(x)\" y=\"\(y + 3)\" width=\"\(length)\" height=\"\(Self.row - 6)\" fill=\"#c0504d\"/>")
                let end = x + Int(share * Double(Self.column - 50)) + 4
                lines.append(text(end, y + 13, Text.number(change.drop, 2)))
            }
        }
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private func text(_ x: Int, _ y: Int, _ content: String) -> String {
        var escaped = ""
        for character in content.unicodeScalars {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            // Not allowed in XML, whatever a model calls its layers.
            case _ where character.value < 0x20: escaped += " "
            default: escaped.unicodeScalars.append(character)
            }
        }
        return "<text x=\"\(x)\" y=\"\(y)\">\(escaped)</text>"
    }
}
