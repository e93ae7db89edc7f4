import Testing

/// The real programs, as their users run them. One after the other: each starts processes enough to fill a board.
@Suite(.serialized) enum EndToEndTests {}
