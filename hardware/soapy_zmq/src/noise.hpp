// White complex Gaussian noise whose every sample is a function of a seed and its index, however it is read.
#pragma once

#include "kernel.hpp"

namespace zmqradio {

class Noise {
public:
    static constexpr size_t kBlock = 512;

    // out[i] += amplitude * w[index + i]; E|w|^2 = 1.
    void add(uint64_t seed, uint64_t index, float amplitude, Sample *out, size_t count);

private:
    void fill(uint64_t newSeed, uint64_t newBlock);

    alignas(32) float values[2 * kBlock];
    uint64_t seed = 0, block = 0;
    bool filled = false;
};

} // namespace zmqradio
