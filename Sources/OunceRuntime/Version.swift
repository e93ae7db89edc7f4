/// The version of Ounce: part of every artifact's provenance and of the daemon's cache keys.
package enum Ounce {
    package static let version = "0.1.0"
}
