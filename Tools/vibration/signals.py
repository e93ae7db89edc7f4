"""Vibration of an electric motor as a 3-axis accelerometer on its bearing housing sees it, from the physics.

A fleet of machines is drawn once (bearing geometry, stiffness, mounting, sensor); each window then draws an operating
point (speed, load), a fault and its severity. Severities reach down to where a fault hides among the residual
imbalance, misalignment and knocks that every machine has, so the classes overlap.

Sources:
  [RA]  R. B. Randall, J. Antoni, "Rolling element bearing diagnostics - A tutorial", Mechanical Systems and Signal
        Processing 25 (2011) 485-520: defect frequencies, slip, impulses that excite a structural resonance.
  [MS]  P. D. McFadden, J. D. Smith, "Model for the vibration produced by a single point defect in a rolling element
        bearing", Journal of Sound and Vibration 96 (1984) 69-82: modulation by the load zone.
  [R]   R. B. Randall, "Vibration-based Condition Monitoring", Wiley (2011): imbalance at 1x growing with speed
        squared, misalignment at 2x and along the shaft, electromagnetic force at twice the line frequency.
"""

from types import SimpleNamespace

import numpy as np

CLASSES = ("healthy", "imbalance", "misalignment", "bearing")
SAMPLE_RATE = 3200.0  # Hz
LENGTH = 256  # samples per window: 80 ms, two to four turns of the shaft
SPEED = (24.0, 50.0)  # shaft speed, Hz (1440 to 3000 rpm)
REFERENCE_SPEED = 50.0  # Hz, where the amplitudes below hold
RESOLUTION, FULL_SCALE = 1.0 / 256.0, 16.0  # g, of a common MEMS part

# Median amplitude in g and spread (standard deviation of the logarithm) of each source. A smaller gap between the
# residual and the fault, or a larger spread, makes the classes overlap more.
RESIDUAL_IMBALANCE, IMBALANCE = (0.06, 0.33), (0.34, 0.38)
RESIDUAL_MISALIGNMENT, MISALIGNMENT = (0.04, 0.33), (0.29, 0.37)
BEARING = (0.80, 0.47)
KNOCK = (0.20, 0.50)
NOISE = (0.030, 0.35)


def bearing_ratios(balls, diameter_ratio, contact_angle):
    """Defect frequencies over the shaft speed, for a fixed outer race: outer race (BPFO), inner race (BPFI), ball
    spin (BSF), cage (FTF). `diameter_ratio` is ball over pitch diameter, the angle is in radians. [RA] eq. 1-4."""
    projected = diameter_ratio * np.cos(contact_angle)
    bpfo = balls / 2 * (1 - projected)
    bpfi = balls / 2 * (1 + projected)
    bsf = (1 - projected**2) / (2 * diameter_ratio)
    ftf = (1 - projected) / 2
    return bpfo, bpfi, bsf, ftf


def lognormal(rng, amplitude, size):
    median, spread = amplitude
    return median * np.exp(spread * rng.standard_normal(size))


def draw_machines(rng, count):
    """Everything that stays the same over a machine's life; every field has `count` entries."""
    return SimpleNamespace(
        balls=rng.integers(7, 13, count),
        diameter_ratio=rng.uniform(0.18, 0.28, count),
        contact_angle=np.radians(rng.uniform(0, 15, count)),
        resonance=rng.uniform(550, 1400, count),  # Hz
        damping=rng.uniform(0.03, 0.09, count),  # of critical
        path=np.stack([rng.uniform(0.6, 1, count), rng.uniform(0.6, 1, count), rng.uniform(0.2, 0.6, count)], 1),
        stiffness=rng.uniform(0.55, 1.0, count),  # vertical over horizontal response
        axial_leak=rng.uniform(0.05, 0.2, count),  # of a radial force into the axial direction
        pole_pairs=rng.integers(1, 3, count),
        magnetic=rng.uniform(0.01, 0.06, count),  # g
        imbalance=lognormal(rng, RESIDUAL_IMBALANCE, count),
        misalignment=lognormal(rng, RESIDUAL_MISALIGNMENT, count),
        noise=lognormal(rng, NOISE, count),
        mounting=rotations(
            np.radians(rng.uniform(-40, 40, count)), *np.radians(rng.uniform(-10, 10, (2, count)))
        ),
        gain=rng.uniform(0.95, 1.05, (count, 3)),
        offset=rng.uniform(-0.05, 0.05, (count, 3)),  # g
    )


def rotations(roll, pitch, yaw):
    """Machine axes (horizontal, vertical, shaft) to sensor axes: a roll about the shaft, then two small tilts."""

    def about(axis, angle):
        matrix = np.tile(np.eye(3), (len(angle), 1, 1))
        i, j = [k for k in range(3) if k != axis]
        matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
        matrix[:, i, j], matrix[:, j, i] = -np.sin(angle), np.sin(angle)
        return matrix

    return about(0, pitch) @ about(1, yaw) @ about(2, roll)


def impulse_response(times, machine, strength):
    """Decaying oscillation of the structure after an impulse at each of `times` [windows, impulses] (seconds, may lie
    before the window) with amplitude `strength` [windows, impulses]. [RA] section 2."""
    clock = np.arange(LENGTH) / SAMPLE_RATE
    omega = 2 * np.pi * machine.resonance[:, None]
    ringing = np.zeros((len(times), LENGTH))
    for k in range(times.shape[1]):
        since = clock - times[:, k, None]
        struck = since >= 0
        since = np.where(struck, since, 0)
        decay = np.exp(-machine.damping[:, None] * omega * since)
        ringing += strength[:, k, None] * struck * decay * np.sin(omega * since)
    return ringing


def bearing_signal(rng, machine, speed, load, severity):
    """Impulses at the outer-race, inner-race or ball frequency (both races are struck, so twice BSF), each interval
    jittered by slip of some 1 % [RA]; the load zone modulates a turning defect: the inner race at shaft speed, the
    ball at cage speed [MS]. Returns the ringing [windows, LENGTH]."""
    count = len(speed)
    bpfo, bpfi, bsf, ftf = bearing_ratios(machine.balls, machine.diameter_ratio, machine.contact_angle)
    place = rng.integers(0, 3, count)
    rate = speed * np.choose(place, (bpfo, bpfi, 2 * bsf))
    modulator = speed * np.choose(place, (np.zeros(count), np.ones(count), ftf))
    depth = np.choose(place, (np.zeros(count), rng.uniform(0.4, 0.9, count), rng.uniform(0.3, 0.7, count)))
    duration = LENGTH / SAMPLE_RATE
    impulses = int(np.ceil((duration + 0.02) * rate.max())) + 1
    interval = (1 + 0.012 * rng.standard_normal((count, impulses))) / rate[:, None]
    times = np.cumsum(interval, 1) - 0.02 - rng.uniform(0, 1, (count, 1)) / rate[:, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    envelope = 1 + depth[:, None] * np.cos(2 * np.pi * modulator[:, None] * times + phase)
    scatter = np.exp(0.15 * rng.standard_normal((count, impulses)))
    strength = severity * np.sqrt(load) * speed / REFERENCE_SPEED
    return impulse_response(times, machine, strength[:, None] * envelope * scatter)


def harmonic(amplitude, order, shaft, phase):
    return amplitude[:, None] * np.cos(order * shaft + phase[:, None])


def synthesise(rng, fleet, owner, labels):
    """One window per entry of `owner` (index into the fleet) and `labels`: float32 [windows, 3, LENGTH] in g."""
    count = len(labels)
    machine = SimpleNamespace(**{name: field[owner] for name, field in vars(fleet).items()})
    speed, load = rng.uniform(*SPEED, count), rng.uniform(0.2, 1.0, count)

    def phase():
        return rng.uniform(0, 2 * np.pi, count)

    # Within a window the speed swings slowly by up to 1 %.
    clock = np.arange(LENGTH) / SAMPLE_RATE
    swing = np.sin(2 * np.pi * rng.uniform(1, 6, (count, 1)) * clock + phase()[:, None])
    swing *= rng.uniform(0, 0.01, (count, 1))
    shaft = 2 * np.pi * np.cumsum(speed[:, None] * (1 + swing), 1) / SAMPLE_RATE + phase()[:, None]

    axes = np.zeros((count, 3, LENGTH))  # horizontal, vertical, axial
    horizontal, vertical, axial = axes[:, 0], axes[:, 1], axes[:, 2]

    # Imbalance: a force m e w^2 that turns with the shaft, so the two radial axes stand a quarter turn apart. [R]
    force = np.where(labels == 1, lognormal(rng, IMBALANCE, count), machine.imbalance * rng.uniform(0.8, 1.2, count))
    force = force * (speed / REFERENCE_SPEED) ** 2
    start, quarter = phase(), np.pi / 2 + rng.normal(0, 0.2, count)
    horizontal += harmonic(force, 1, shaft, start)
    vertical += harmonic(force * machine.stiffness, 1, shaft, start - quarter)
    axial += harmonic(force * machine.axial_leak, 1, shaft, phase())

    # Misalignment: the coupling pushes at 2x (parallel offset) and along the shaft at 1x and 2x (angle), with some
    # 3x, and harder with more torque. [R]
    push = np.where(
        labels == 2, lognormal(rng, MISALIGNMENT, count), machine.misalignment * rng.uniform(0.8, 1.2, count)
    )
    push = push * (0.5 + 0.5 * load) * (speed / REFERENCE_SPEED)
    angular = rng.uniform(0, 1, count)
    radial = push * (1 - 0.5 * angular)
    thrust = push * (0.3 + 0.7 * angular)
    for order, share in ((1, 0.35), (2, 1.0), (3, 0.3)):
        horizontal += harmonic(share * radial * rng.uniform(0.7, 1.0, count), order, shaft, phase())
        vertical += harmonic(share * radial * machine.stiffness, order, shaft, phase())
    for order, share in ((1, 0.7), (2, 0.8), (3, 0.15)):
        axial += harmonic(share * thrust * rng.uniform(0.7, 1.0, count), order, shaft, phase())

    # The stator pulls at twice the line frequency; an induction motor's shaft lags its field by the slip.
    slip = 0.005 + 0.035 * load
    line = 2 * machine.pole_pairs / (1 - slip)
    horizontal += harmonic(machine.magnetic, line[:, None], shaft, phase())
    vertical += harmonic(0.7 * machine.magnetic, line[:, None], shaft, phase())

    # Knocks from the process strike any machine; only a defect repeats them with the bearing's rhythm.
    knocks = rng.uniform(-0.01, LENGTH / SAMPLE_RATE, (count, 3))
    strength = lognormal(rng, KNOCK, (count, 3)) * (rng.uniform(0, 1, (count, 3)) < 0.3)
    ringing = impulse_response(knocks, machine, strength)
    defective = labels == 3
    severity = np.where(defective, lognormal(rng, BEARING, count), 0.0)
    ringing += bearing_signal(rng, machine, speed, load, severity)
    axes += machine.path[:, :, None] * ringing[:, None, :]

    # Friction noise has more of the low frequencies and grows with the load; the sensor's, added below, is white.
    noise = rng.standard_normal(axes.shape)
    noise[:, :, 1:] += 0.6 * noise[:, :, :-1]
    axes += (machine.noise * (0.6 + 0.8 * load))[:, None, None] * noise

    axes[:, 1] += 1.0  # gravity
    sensed = machine.mounting @ axes * machine.gain[:, :, None] + machine.offset[:, :, None]
    sensed += 0.01 * rng.standard_normal(sensed.shape)
    counts = np.round(np.clip(sensed, -FULL_SCALE, FULL_SCALE - RESOLUTION) / RESOLUTION)
    return (counts * RESOLUTION).astype(np.float32)


def dataset(seed, machines, windows_per_class):
    """A fleet of its own and `windows_per_class` windows of each class from every machine, in random order.
    Returns float32 [N, 3, LENGTH] in g and int64 [N]; the same seed gives the same data."""
    rng = np.random.default_rng(seed)
    fleet = draw_machines(rng, machines)
    order = rng.permutation(machines * windows_per_class * len(CLASSES))
    owner, labels = order % machines, order // machines % len(CLASSES)
    chunks = [slice(i, i + 512) for i in range(0, len(labels), 512)]
    windows = [synthesise(rng, fleet, owner[chunk], labels[chunk]) for chunk in chunks]
    return np.concatenate(windows), labels.astype(np.int64)
