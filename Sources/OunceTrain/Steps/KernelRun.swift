import COunceKernels
import OunceGraph
import OunceRuntime

/// A float convolution kernel of the runtime with its packed weights, for weights that change.
final class KernelRun {
    private let kernel: UnsafePointer<ounce_kernel>
    private let parameters: UnsafeMutablePointer<ounce_conv_params>
    private let packed: TrainBuffer
    private let units: Int64

    /// - Throws: `.unsupported` where no kernel takes the step.
    init(_ given: ounce_conv_params, isas: InstructionSets, name: String) throws(TrainError) {
        parameters = .allocate(capacity: 1)
        parameters.initialize(to: given)
        let family = given.groups > 1 ? OUNCE_DWCONV_F32 : OUNCE_CONV_F32
        let candidates = KernelTable.supporting(family, params: parameters, weights: nil, isas: isas)
        guard let best = candidates.last else {
            throw TrainError(.unsupported, "\(name): no kernel computes this convolution")
        }
        kernel = best.entry
        packed = TrainBuffer(persistent: Int(kernel.pointee.packed_size?(parameters) ?? 0))
        units = kernel.pointee.units?(parameters) ?? 0
    }

    deinit { parameters.deallocate() }

    func pack(weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?) {
        var source = ounce_conv_weights(weights: weights, bias: bias, scale: nil)
        kernel.pointee.pack?(parameters, &source, packed.raw)
    }

    /// One image. These kernels use no scratch.
    func run(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        var call = ounce_call()
        call.params = UnsafeRawPointer(parameters)
        call.packed = UnsafeRawPointer(packed.raw)
        call.in.0 = UnsafeRawPointer(x)
        call.out = UnsafeMutableRawPointer(y)
        kernel.pointee.run?(&call, 0, units)
    }
}
