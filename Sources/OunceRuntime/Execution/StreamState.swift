import OunceGraph
import Synchronization

/// What one stream of a model carries from run to run. Runs of one stream wait for each other.
package final class StreamState: Sendable {
    /// The model that it belongs to.
    let model: Model
    private let bytes: Mutex<Bytes>

    private struct Bytes: @unchecked Sendable {
        /// The states one behind another, in the order of the model's.
        let buffer: UnsafeMutableRawBufferPointer
    }

    /// In the initial state.
    init(_ model: Model) {
        self.model = model
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: model.stateBytes, alignment: 64)
        Self.fill(buffer, with: model.initialStates)
        bytes = Mutex(Bytes(buffer: buffer))
    }

    deinit {
        bytes.withLock { $0.buffer.deallocate() }
        model.release(streamBytes: model.stateBytes)
    }

    package var byteCount: Int { model.stateBytes }

    /// Starts anew.
    package func reset() { bytes.withLock { Self.fill($0.buffer, with: model.initialStates) } }

    private static func fill(_ buffer: UnsafeMutableRawBufferPointer, with initial: [Tensor]) {
        var offset = 0
        for tensor in initial {
            UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: tensor.bytes)
            offset += tensor.byteCount
        }
    }

    /// Runs `session` from this state and keeps the state that it ends in.
    func run(_ session: Session) {
        bytes.withLock { state in
            session.loadStates(from: UnsafeRawBufferPointer(state.buffer))
            session.run()
            session.storeStates(to: state.buffer)
        }
    }
}
