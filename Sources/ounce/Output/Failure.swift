import ArgumentParser
import Glibc

/// Ends a command with a message on stderr and an exit status (sysexits(3) where one fits).
enum Failure {
    static let usage: Int32 = 64
    static let data: Int32 = 65
    static let unavailable: Int32 = 69
    static let configuration: Int32 = 78

    /// Runs the body of a command; any error becomes one message and the exit status 1.
    static func reporting(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let code as ExitCode {
            throw code
        } catch let error as ValidationError {
            throw error
        } catch {
            say("ounce: \(error)")
            throw ExitCode(1)
        }
    }

    /// A line on stderr.
    static func say(_ line: String) { write(line + "\n") }

    /// Text on stderr as it is; what cannot be written is lost.
    static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}
