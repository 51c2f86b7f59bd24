#include "kernel.hpp"

#include "simd.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace zmqradio {

namespace {

typedef float Lanes __attribute__((vector_size(32)));

inline Lanes load(const float *from)
{
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

double bessel0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

// I and Q of one output sample from `length` floats of input: even lanes are I, odd lanes are Q.
inline Sample fold(Lanes sum)
{
    return {(sum[0] + sum[2]) + (sum[4] + sum[6]), (sum[1] + sum[3]) + (sum[5] + sum[7])};
}

ZMQRADIO_HOT void applyReal(const float *in, const float *table, int taps, uint64_t fraction, unsigned __int128 step,
                            Sample *out, size_t count)
{
    const int length = 2 * taps;
    unsigned __int128 at = fraction;
    for (size_t i = 0; i < count; i++, at += step) {
        const float *x = in + 2 * size_t(at >> 64);
        const uint64_t part = uint64_t(at);
        const float *h = table + size_t(part >> (64 - Kernel::kPhaseBits)) * length, *g = h + length;
        const float mix = float(uint32_t((part << Kernel::kPhaseBits) >> 40)) * 0x1p-24f;
        Lanes sum{}, other{};
        for (int j = 0; j < length; j += 16) {
            const Lanes h0 = load(h + j), h1 = load(h + j + 8);
            sum += load(x + j) * (h0 + mix * (load(g + j) - h0));
            other += load(x + j + 8) * (h1 + mix * (load(g + j + 8) - h1));
        }
        out[i] = fold(sum + other);
    }
}

ZMQRADIO_HOT void applyShifted(const float *in, const float *real, const float *imag, int taps, uint64_t fraction,
                               unsigned __int128 step, Sample *out, size_t count)
{
    const int length = 2 * taps;
    unsigned __int128 at = fraction;
    for (size_t i = 0; i < count; i++, at += step) {
        const float *x = in + 2 * size_t(at >> 64);
        const uint64_t part = uint64_t(at);
        const size_t row = size_t(part >> (64 - Kernel::kPhaseBits)) * length;
        const float mix = float(uint32_t((part << Kernel::kPhaseBits) >> 40)) * 0x1p-24f;
        Lanes by_real{}, by_imag{};
        for (int j = 0; j < length; j += 8) {
            const Lanes h = load(real + row + j), k = load(imag + row + j), value = load(x + j);
            by_real += value * (h + mix * (load(real + row + length + j) - h));
            by_imag += value * (k + mix * (load(imag + row + length + j) - k));
        }
        const Sample a = fold(by_real), b = fold(by_imag);
        out[i] = {a.real() - b.imag(), a.imag() + b.real()};
    }
}

ZMQRADIO_HOT void rotateBlock(const float *in, float *out, size_t count, const float *table, float real, float imag)
{
    for (size_t i = 0; i < count; i++) {
        const float c = table[2 * i] * real - table[2 * i + 1] * imag;
        const float s = table[2 * i] * imag + table[2 * i + 1] * real;
        const float x = in[2 * i], y = in[2 * i + 1];
        out[2 * i] = x * c - y * s;
        out[2 * i + 1] = x * s + y * c;
    }
}

} // namespace

Kernel::Kernel()
{
    real.reserve(size_t(kPhases + 1) * 2 * kMaxTaps); // a redesign within a stream must not allocate
    imag.reserve(real.capacity());
    design(0, 1);
}

void Kernel::design(double newCenter, double newWidth)
{
    if (newCenter == center && newWidth == width) return;
    center = newCenter;
    width = newWidth;
    shifted = center != 0;
    taps = std::clamp(int(std::ceil(kBaseTaps / width / 8)) * 8, kBaseTaps, kMaxTaps);
    real.resize(size_t(kPhases + 1) * 2 * taps);
    imag.resize(shifted ? real.size() : 0);
    const double beta = 7.857, scale = bessel0(beta); // Kaiser's formula for 80 dB
    double row[kMaxTaps];
    for (int phase = 0; phase <= kPhases; phase++) {
        double sum = 0;
        for (int j = 0; j < taps; j++) {
            const double t = double(phase) / kPhases + before() - j;
            const double u = 2 * t / taps, x = M_PI * width * t;
            const double window = std::abs(u) >= 1 ? 0 : bessel0(beta * std::sqrt(1 - u * u)) / scale;
            row[j] = window * (std::abs(x) < 1e-12 ? 1 : std::sin(x) / x);
            sum += row[j];
        }
        for (int j = 0; j < taps; j++) {
            const double t = double(phase) / kPhases + before() - j;
            const size_t at = (size_t(phase) * taps + j) * 2;
            real[at] = real[at + 1] = float(row[j] / sum * std::cos(2 * M_PI * center * t));
            if (shifted) imag[at] = imag[at + 1] = float(row[j] / sum * std::sin(2 * M_PI * center * t));
        }
    }
}

void Kernel::apply(const Sample *in, uint64_t fraction, unsigned __int128 step, Sample *out, size_t count) const
{
    const float *x = reinterpret_cast<const float *>(in);
    if (shifted)
        applyShifted(x, real.data(), imag.data(), taps, fraction, step, out, count);
    else
        applyReal(x, real.data(), taps, fraction, step, out, count);
}

void rotate(const Sample *in, Sample *out, size_t count, double phase, double step)
{
    constexpr size_t block = 256;
    float table[2 * block];
    for (size_t i = 0; i < std::min(block, count); i++) {
        const double angle = 2 * M_PI * (step * double(i) - std::floor(step * double(i)));
        table[2 * i] = float(std::cos(angle));
        table[2 * i + 1] = float(std::sin(angle));
    }
    for (size_t done = 0; done < count; done += block) {
        double turns = phase + step * double(done);
        turns -= std::floor(turns);
        rotateBlock(reinterpret_cast<const float *>(in + done), reinterpret_cast<float *>(out + done),
                    std::min(block, count - done), table, float(std::cos(2 * M_PI * turns)),
                    float(std::sin(2 * M_PI * turns)));
    }
}

} // namespace zmqradio
