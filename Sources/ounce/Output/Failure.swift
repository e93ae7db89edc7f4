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
    static func say(_ line: String) {
        fputs(line + "\n", stderr)
    }
}
