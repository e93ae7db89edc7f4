"""A 1-D convolutional network in NumPy: forward, backward, Adam. Activations are [batch, time, channels] inside."""

import numpy as np


class Layer:
    def __init__(self):
        self.values, self.gradients = {}, {}

    def children(self):
        return [self]


class Conv(Layer):
    """Cross-correlation without bias, zero padding of (kernel - 1) / 2, stride 1; weight [kernel, in, out]."""

    def __init__(self, rng, inputs, outputs, kernel):
        super().__init__()
        self.kernel, self.padding = kernel, (kernel - 1) // 2
        deviation = np.sqrt(2.0 / (inputs * kernel))
        self.values["weight"] = rng.normal(0, deviation, (kernel, inputs, outputs)).astype(np.float32)

    def forward(self, x, training):
        batch, length, channels = x.shape
        padded = np.pad(x, ((0, 0), (self.padding, self.padding), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, axis=1)
        self.columns = windows.transpose(0, 1, 3, 2).reshape(batch * length, self.kernel * channels)
        self.shape = x.shape
        return (self.columns @ self.matrix()).reshape(batch, length, -1)

    def backward(self, g):
        batch, length, channels = self.shape
        flat = g.reshape(batch * length, -1)
        self.gradients["weight"] = (self.columns.T @ flat).reshape(self.values["weight"].shape)
        columns = (flat @ self.matrix().T).reshape(batch, length, self.kernel, channels)
        x = np.zeros((batch, length + 2 * self.padding, channels), np.float32)
        for k in range(self.kernel):
            x[:, k : k + length] += columns[:, :, k]
        return x[:, self.padding : self.padding + length]

    def matrix(self):
        weight = self.values["weight"]
        return weight.reshape(-1, weight.shape[-1])


class BatchNorm(Layer):
    """Normalises each channel by the batch while training, by running statistics afterwards."""

    epsilon, momentum = 1e-5, 0.1

    def __init__(self, channels):
        super().__init__()
        self.values["weight"] = np.ones(channels, np.float32)
        self.values["bias"] = np.zeros(channels, np.float32)
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)

    def forward(self, x, training):
        mean, var = self.running_mean, self.running_var
        if training:
            mean, var = x.mean((0, 1)), x.var((0, 1))
            count = x.shape[0] * x.shape[1]
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var * count / (count - 1)
        self.inverse = 1 / np.sqrt(var + np.float32(self.epsilon))
        self.normal = (x - mean) * self.inverse
        return self.normal * self.values["weight"] + self.values["bias"]

    def backward(self, g):
        self.gradients["weight"] = (g * self.normal).sum((0, 1))
        self.gradients["bias"] = g.sum((0, 1))
        count = g.shape[0] * g.shape[1]
        centred = g - self.gradients["bias"] / count - self.normal * (self.gradients["weight"] / count)
        return centred * (self.values["weight"] * self.inverse)


class Relu(Layer):
    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, g):
        return g * self.positive


class MaxPool(Layer):
    """Windows of `size` samples side by side; the length must divide."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x, training):
        batch, length, channels = x.shape
        groups = x.reshape(batch, length // self.size, self.size, channels)
        self.shape, self.winner = groups.shape, groups.argmax(2)[:, :, None]
        return np.take_along_axis(groups, self.winner, 2)[:, :, 0]

    def backward(self, g):
        x = np.zeros(self.shape, np.float32)
        np.put_along_axis(x, self.winner, g[:, :, None], 2)
        return x.reshape(len(x), -1, x.shape[-1])


class GlobalAveragePool(Layer):
    def forward(self, x, training):
        self.length = x.shape[1]
        return x.mean(1)

    def backward(self, g):
        return np.repeat(g[:, None] / np.float32(self.length), self.length, 1)


class Linear(Layer):
    """weight [out, in], bias [out]."""

    def __init__(self, rng, inputs, outputs):
        super().__init__()
        self.values["weight"] = rng.normal(0, np.sqrt(1.0 / inputs), (outputs, inputs)).astype(np.float32)
        self.values["bias"] = np.zeros(outputs, np.float32)

    def forward(self, x, training):
        self.x = x
        return x @ self.values["weight"].T + self.values["bias"]

    def backward(self, g):
        self.gradients["weight"], self.gradients["bias"] = g.T @ self.x, g.sum(0)
        return g @ self.values["weight"]


class Chain(Layer):
    """Named layers, one after the other."""

    def __init__(self, **layers):
        super().__init__()
        self.layers = layers

    def children(self):
        return [leaf for layer in self.layers.values() for leaf in layer.children()]

    def forward(self, x, training):
        for layer in self.layers.values():
            x = layer.forward(x, training)
        return x

    def backward(self, g):
        for layer in reversed(self.layers.values()):
            g = layer.backward(g)
        return g


class Residual(Chain):
    """The input plus what the chain makes of it; ReLU comes after."""

    def forward(self, x, training):
        return x + super().forward(x, training)

    def backward(self, g):
        return g + super().backward(g)


def cross_entropy(logits, labels, smoothing):
    """Mean loss against labels softened by `smoothing`, and its gradient with respect to the logits."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    target = np.full_like(logits, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smoothing
    loss = -(target * log_probability).sum(1).mean()
    return loss, (np.exp(log_probability) - target) / np.float32(len(labels))


class Adam:
    """Adam with decoupled weight decay on the weights of convolutions and linear layers (Loshchilov and Hutter,
    "Decoupled Weight Decay Regularization", ICLR 2019)."""

    def __init__(self, model, decay):
        self.slots = [(leaf, name) for leaf in model.children() for name in leaf.values]
        self.first = [np.zeros_like(leaf.values[name]) for leaf, name in self.slots]
        self.second = [np.zeros_like(leaf.values[name]) for leaf, name in self.slots]
        self.decay, self.steps = decay, 0

    def step(self, rate):
        self.steps += 1
        rate = np.float32(rate)
        correction = np.float32(np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps))
        for (leaf, name), first, second in zip(self.slots, self.first, self.second):
            value, gradient = leaf.values[name], leaf.gradients[name]
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient * gradient - second)
            if value.ndim > 1:
                value -= rate * np.float32(self.decay) * value
            value -= rate * correction * first / (np.sqrt(second) + np.float32(1e-8))
