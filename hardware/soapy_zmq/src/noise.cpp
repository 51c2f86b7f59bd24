#include "noise.hpp"

#include "simd.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace zmqradio {

namespace {

constexpr size_t kLanes = 8;

uint64_t splitmix(uint64_t &state)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// ln(x) for positive normal x, relative error about 1e-7 (mantissa in [sqrt 1/2, sqrt 2), atanh series).
inline float logarithm(float x)
{
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const int32_t exponent = int32_t(bits - 0x3f3504f3u) >> 23;
    bits -= uint32_t(exponent) << 23;
    float m;
    std::memcpy(&m, &bits, 4);
    const float z = (m - 1) / (m + 1), w = z * z;
    return float(exponent) * 0.69314718056f + 2 * z * (1 + w * (0.33333333f + w * (0.2f + w * (0.14285714f + w * 0.11111111f))));
}

// Eight xoshiro128+ generators (Blackman, Vigna 2018) side by side, then Box-Muller: loops that compilers vectorise.
ZMQRADIO_HOT void gaussians(uint32_t (&s)[4][kLanes], float *out, size_t count)
{
    for (size_t base = 0; base < count; base += kLanes) {
        uint32_t draw[2][kLanes];
        for (auto &one : draw) {
            for (size_t i = 0; i < kLanes; i++) {
                one[i] = s[0][i] + s[3][i];
                const uint32_t t = s[1][i] << 9;
                s[2][i] ^= s[0][i];
                s[3][i] ^= s[1][i];
                s[1][i] ^= s[2][i];
                s[0][i] ^= s[3][i];
                s[2][i] ^= t;
                s[3][i] = (s[3][i] << 11) | (s[3][i] >> 21);
            }
        }
        float re[kLanes], im[kLanes];
        for (size_t i = 0; i < kLanes; i++) {
            const float uniform = (float(int32_t(draw[0][i] >> 1)) + 0.5f) * 0x1p-31f; // (0, 1]
            const float radius = std::sqrt(std::max(0.0f, -logarithm(uniform)));       // E radius^2 = 1
            const float half = float(int32_t(draw[1][i])) * (0x1p-31f * 1.57079632679f); // half the angle
            const float w = half * half;
            const float sine = half * (1 + w * (-1.6666667e-1f + w * (8.3333333e-3f + w * (-1.9841270e-4f + w * (2.7557319e-6f - w * 2.5052108e-8f)))));
            const float cosine = 1 + w * (-0.5f + w * (4.1666667e-2f + w * (-1.3888889e-3f + w * (2.4801587e-5f - w * 2.7557319e-7f))));
            re[i] = radius * (cosine * cosine - sine * sine);
            im[i] = radius * 2 * sine * cosine;
        }
        for (size_t i = 0; i < kLanes; i++) {
            out[2 * (base + i)] = re[i];
            out[2 * (base + i) + 1] = im[i];
        }
    }
}

ZMQRADIO_HOT void accumulate(const float *from, float amplitude, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] += amplitude * from[i];
}

} // namespace

void Noise::fill(uint64_t newSeed, uint64_t newBlock)
{
    if (filled && newSeed == seed && newBlock == block) return;
    seed = newSeed;
    block = newBlock;
    filled = true;
    uint64_t state = seed;
    state = splitmix(state) ^ (block * 0xd1342543de82ef95u);
    uint32_t s[4][kLanes];
    for (auto &row : s)
        for (auto &one : row) one = uint32_t(splitmix(state) >> 32) | 1u;
    gaussians(s, values, kBlock);
}

void Noise::add(uint64_t seedNow, uint64_t index, float amplitude, Sample *out, size_t count)
{
    if (amplitude == 0) return;
    for (size_t done = 0; done < count;) {
        fill(seedNow, (index + done) / kBlock);
        const size_t from = (index + done) % kBlock, part = std::min(kBlock - from, count - done);
        accumulate(values + 2 * from, amplitude, reinterpret_cast<float *>(out + done), 2 * part);
        done += part;
    }
}

} // namespace zmqradio
