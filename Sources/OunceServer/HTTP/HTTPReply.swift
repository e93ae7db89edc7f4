import FoundationEssentials
import NIOCore
import NIOHTTP1

/// One answer, before it is written.
struct HTTPReply {
    var status: HTTPResponseStatus
    var body: ByteBuffer
    var contentType = "application/json"
    /// Of the JSON at the body's beginning, where tensors follow it.
    var jsonLength: Int?
    /// The methods that the path takes, where this one is refused.
    var allow: String?

    init(status: HTTPResponseStatus = .ok, body: ByteBuffer = ByteBuffer()) {
        self.status = status
        self.body = body
    }

    init(_ value: some Encodable) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Infinity has no JSON; a report that holds one must not take the status down.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        if let data = try? encoder.encode(value) {
            self.init(body: ByteBuffer(bytes: data))
        } else {
            self.init(ServiceError(.internal, "the answer cannot be written as JSON"))
        }
    }

    init(_ encoded: InferReplyEncoder) {
        self.init(body: encoded.body)
        jsonLength = encoded.jsonLength
        if jsonLength != nil { contentType = "application/octet-stream" }
    }

    init(_ error: ServiceError) {
        var writer = JSONWriter(ByteBuffer())
        writer.beginObject()
        writer.name("error")
        writer.string(error.message)
        writer.endObject()
        self.init(status: Self.status(of: error.code), body: writer.take())
    }

    private static func status(of code: ServiceError.Code) -> HTTPResponseStatus {
        switch code {
        case .invalid: .badRequest
        case .forbidden: .forbidden
        case .notFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .timeout: .requestTimeout
        case .tooLarge: .payloadTooLarge
        case .unsupported: .notImplemented
        case .unavailable: .serviceUnavailable
        case .internal: .internalServerError
        }
    }

    func head(version: HTTPVersion, keepAlive: Bool) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(4)
        headers.add(name: "content-type", value: contentType)
        headers.add(name: "content-length", value: String(body.readableBytes))
        if let jsonLength { headers.add(name: "inference-header-content-length", value: String(jsonLength)) }
        if let allow { headers.add(name: "allow", value: allow) }
        if !keepAlive {
            headers.add(name: "connection", value: "close")
        } else if version == .http1_0 {
            headers.add(name: "connection", value: "keep-alive")
        }
        return HTTPResponseHead(version: version, status: status, headers: headers)
    }
}
