import FoundationEssentials

/// What `ounce status` and `ounce reload` ask of a running daemon.
package struct DaemonClient: Sendable {
    private let path: String

    package init(socket path: String) { self.path = path }

    package func status(timeout: Duration = .seconds(10)) throws(ClientError) -> ServerStatus {
        try decode(try UnixHTTPClient(path: path, timeout: timeout).get("/v2/ounce/status"))
    }

    /// The status as the daemon sent it, for `--json`.
    package func statusText(timeout: Duration = .seconds(10)) throws(ClientError) -> String {
        let reply = try UnixHTTPClient(path: path, timeout: timeout).get("/v2/ounce/status")
        guard reply.status == 200 else { throw ClientError(message(of: reply)) }
        return String(decoding: reply.body, as: UTF8.self)
    }

    /// Has the daemon read its configuration again and waits until that is done.
    ///
    /// - Throws: also where the daemon refuses; the message then has a line `file:line:column: …` for each mistake.
    package func reload(timeout: Duration? = nil) throws(ClientError) -> ReloadResult {
        try decode(try UnixHTTPClient(path: path, timeout: timeout).post("/v2/ounce/reload"))
    }

    private func decode<T: Decodable>(_ reply: UnixHTTPClient.Reply) throws(ClientError) -> T {
        guard reply.status == 200 else { throw ClientError(message(of: reply)) }
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            decoder.nonConformingFloatDecodingStrategy = .convertFromString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
            return try decoder.decode(T.self, from: Data(reply.body))
        } catch {
            throw ClientError("the answer of ounced is not understood; are ounce and ounced of the same version?")
        }
    }

    private func message(of reply: UnixHTTPClient.Reply) -> String {
        struct Failure: Decodable { let error: String }
        let failure = try? JSONDecoder().decode(Failure.self, from: Data(reply.body))
        return failure?.error ?? "ounced answered with status \(reply.status)"
    }
}
