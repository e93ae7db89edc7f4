import OunceGraph
import OunceRuntime

/// Where a run keeps what it needs to go on after it was killed. Writing must be atomic.
package struct CheckpointStore {
    /// Identifies model, data and settings: a checkpoint of another key is not used.
    package var key: String
    package var load: () -> [UInt8]?
    package var save: ([UInt8]) throws -> Void
    /// Seconds between two checkpoints.
    package var interval: Double

    package init(
        key: String, interval: Double = 1, load: @escaping () -> [UInt8]?, save: @escaping ([UInt8]) throws -> Void
    ) {
        self.key = key
        self.interval = interval
        self.load = load
        self.save = save
    }
}

/// The state of a run between two steps. Samples and augmentation follow from the seed and the step.
///
/// `OUNCTRN1`, a 64-bit count of bytes, the content, and the SHA-256 (hex) of all before it. Content: the key's hash (64
/// bytes), step, optimiser steps, then every buffer in the order of the program.
struct Checkpoint {
    private static let magic = Array("OUNCTRN1".utf8)
    let key: String
    private(set) var step = 0
    private(set) var optimizerSteps = 0

    init(key: String) { self.key = Self.hash(Array(key.utf8)) }

    private static func hash(_ bytes: [UInt8]) -> String { sha256Hex(bytes) }

    private static func bytes(_ number: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(bitPattern: Int64(number)).littleEndian) { Array($0) }
    }

    func encoded(step: Int, optimizerSteps: Int, buffers: [TrainBuffer]) -> [UInt8] {
        var content = Array(key.utf8) + Self.bytes(step) + Self.bytes(optimizerSteps)
        for buffer in buffers {
            content.append(contentsOf: UnsafeRawBufferPointer(start: buffer.raw, count: buffer.byteCount))
        }
        let all = Self.magic + Self.bytes(content.count) + content
        return all + Array(Self.hash(all).utf8)
    }

    /// Puts what `data` holds into the buffers.
    ///
    /// - Returns: false for a checkpoint of another run.
    /// - Throws: `.checkpoint` where it is damaged.
    mutating func restore(_ data: [UInt8], into buffers: [TrainBuffer], maximumStep: Int) throws(TrainError) -> Bool {
        func damaged(_ reason: String) -> TrainError {
            TrainError(.checkpoint, "the checkpoint is damaged: \(reason); remove it to start from the beginning")
        }
        let (head, tail, keyLength) = (16, 64, key.utf8.count)
        guard data.count >= head + keyLength + 16 + tail, Array(data[..<8]) == Self.magic else {
            throw damaged("it is no checkpoint")
        }
        func number(_ offset: Int) -> Int? {
            let value = (0..<8).reduce(UInt64(0)) { $0 | UInt64(data[offset + $1]) << (8 * UInt64($1)) }
            return Int(exactly: value)
        }
        guard let length = number(8), length == data.count - head - tail else { throw damaged("its length is wrong") }
        guard Self.hash(Array(data[..<(head + length)])) == String(decoding: data[(head + length)...], as: UTF8.self)
        else { throw damaged("its checksum is wrong") }
        guard data[head..<(head + keyLength)].elementsEqual(key.utf8) else { return false }
        guard let step = number(head + keyLength), let optimizerSteps = number(head + keyLength + 8),
            (0...maximumStep).contains(step), (0...maximumStep).contains(optimizerSteps),
            length == keyLength + 16 + buffers.reduce(0, { $0 + $1.byteCount })
        else { throw damaged("it does not fit this model") }
        var offset = head + keyLength + 16
        for buffer in buffers {
            data.withUnsafeBytes { all in
                buffer.raw.copyMemory(
                    from: all.baseAddress.map { $0 + offset } ?? UnsafeRawPointer(buffer.raw),
                    byteCount: buffer.byteCount)
            }
            offset += buffer.byteCount
        }
        (self.step, self.optimizerSteps) = (step, optimizerSteps)
        return true
    }
}
