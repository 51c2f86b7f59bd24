// Polyphase band-pass interpolator: the signal between the samples of a transmitter, limited to a band.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zmqradio {

using Sample = std::complex<float>;

// Windowed-sinc kernel (Kaiser, 80 dB) at 256 phases, linear between phases (error below -90 dB).
// A signal within 0.42 of the width on either side passes unchanged; images beyond 0.58 are at least 80 dB down.
class Kernel {
public:
    static constexpr int kPhaseBits = 8, kPhases = 1 << kPhaseBits, kBaseTaps = 32, kMaxTaps = 512;

    Kernel();

    // Band of `width` around `center`, both in cycles per input sample; nothing happens where it is the present one.
    void design(double center, double width);

    // Samples before and after a position that its value depends on.
    int before() const { return taps / 2 - 1; }
    int after() const { return taps / 2; }

    // out[i] = signal at position + i * step; in[0] is the sample at index `floor(position) - before()`.
    // fraction: of the position, in 2^-64. step: 64.64 fixed point.
    void apply(const Sample *in, uint64_t fraction, unsigned __int128 step, Sample *out, size_t count) const;

private:
    std::vector<float> real, imag; // [kPhases + 1][taps], each coefficient twice (for I and Q)
    int taps = 0;
    double center = 0, width = 0;
    bool shifted = false;
};

// out[i] = in[i] * exp(2 pi j (phase + i * step)), turns; in place allowed. Adds to out where `add`.
void rotate(const Sample *in, Sample *out, size_t count, double phase, double step);

} // namespace zmqradio
