import OunceTrain

/// Where checkpoints of a compression lie: the caller's files, which survive a killed run.
package struct CheckpointFiles: Sendable {
    package typealias Load = @Sendable (_ name: String) -> [UInt8]?
    package typealias Save = @Sendable (_ name: String, _ bytes: [UInt8]) throws -> Void
    private let load: Load
    private let save: Save

    /// - Parameters:
    ///   - load: the content of the checkpoint of this name (letters, digits, `.`, `_`, `-`), nil where there is none.
    ///   - save: replaces it at once or not at all.
    package init(load: @escaping Load, save: @escaping Save) {
        self.load = load
        self.save = save
    }

    func store(_ name: String, key: String) -> CheckpointStore {
        CheckpointStore(key: key, load: { load(name) }, save: { try save(name, $0) })
    }
}
