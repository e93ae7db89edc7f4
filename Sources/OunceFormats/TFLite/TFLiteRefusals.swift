import OunceGraph

extension TFLiteTranslation {
    /// What to do about an operator that is not read.
    static func refusal(of op: TFLiteOperator) -> ImportFailure {
        if let advice = advice[op.name] { return .unsupported(advice) }
        if op.isCustom, op.name.hasPrefix("Flex") {
            return .unsupported("it runs TensorFlow's own code; convert with TFLITE_BUILTINS alone (no SELECT_TF_OPS)")
        }
        if op.isCustom, op.name.hasPrefix("Signal") { return .unsupported(features) }
        if op.isCustom {
            return .unsupported("an operator of somebody's own; convert without it, or compute it outside of the model")
        }
        if op.name.hasPrefix("STABLEHLO_") {
            return .unsupported("StableHLO within the file; convert it to TFLite's own operators")
        }
        return .unsupported("the operator is not known; convert the model without it")
    }

    private static let features =
        "features are computed inside of the model; export without the front end and give it the features"
    private static let randomness = "random numbers; export the model for inference, without sampling or dropout"
    private static let strings = "it works on strings; look them up outside of the model"
    private static let dynamic = "the extents of its result depend on the data; do this step outside of the model"

    private static let advice: [String: String] = [
        "AudioSpectrogram": features, "Mfcc": features, "AUDIO_SPECTROGRAM": features, "MFCC": features,
        "FlexAudioSpectrogram": features, "FlexMfcc": features, "FlexDecodeWav": features, "FlexRFFT": features,
        "RFFT2D": features, "REAL": features, "IMAG": features, "COMPLEX_ABS": features,
        "RANDOM_STANDARD_NORMAL": randomness, "RANDOM_UNIFORM": randomness, "MULTINOMIAL": randomness,
        "STABLEHLO_RNG_BIT_GENERATOR": randomness,
        "HASHTABLE": strings, "HASHTABLE_FIND": strings, "HASHTABLE_IMPORT": strings, "HASHTABLE_SIZE": strings,
        "HASHTABLE_LOOKUP": strings, "LSH_PROJECTION": strings, "SKIP_GRAM": strings, "FlexRegexReplace": strings,
        "UNIQUE": dynamic, "WHERE": dynamic, "NON_MAX_SUPPRESSION_V4": dynamic, "NON_MAX_SUPPRESSION_V5": dynamic,
        "TFLite_Detection_PostProcess":
            "boxes are chosen inside of the model; export without post-processing and choose them outside",
        "DELEGATE": "the file was prepared for an accelerator; use the one from before",
        "edgetpu-custom-op": "the file was compiled for an Edge TPU; use the one from before the compiler",
        "ethos-u": "the file was compiled for an Ethos-U; use the one from before the compiler",
        "CONCAT_EMBEDDINGS": "it is obsolete; convert anew", "EMBEDDING_LOOKUP_SPARSE": "convert with dense lookups",
    ]
}
