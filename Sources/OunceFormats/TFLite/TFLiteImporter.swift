import OunceGraph

package enum TFLiteImporter {
    static let identifier: [UInt8] = Array("TFL3".utf8)
    package static func parse(bytes: [UInt8], name: String = "model") throws(FormatError) -> Graph {
        throw FormatError(.unsupported, "TFLite")
    }
}
