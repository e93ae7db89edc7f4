/// How attention on int8 numbers keeps what a softmax gives: as numbers of 8 bits in 256ths of each row's largest, which are
/// divided by their own sum only once the values are summed. So a row spread over many keys keeps its eight bits, as it
/// would not in 256ths of one.
///
///     e = exp(scores - max(scores));  w = quantise(e);  y = (w · v) / sum(dequantise(w))
package enum AttentionWeights {
    /// 256ths from 0 to 255: sums of them are exact in float32, in whatever order.
    package static let grid = AffineQuantization(scale: 0x1p-8, zeroPoint: -128)
}
