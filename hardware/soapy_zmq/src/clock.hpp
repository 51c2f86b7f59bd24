// Time. "Air" time is CLOCK_MONOTONIC in ns, the same for every program of a machine; hardware time is what a device's
// own oscillator makes of it, with its error in ppm.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <mutex>

namespace zmqradio {

using Real = long double; // 64 bits of mantissa: nanoseconds since boot with fractions that do not matter

inline int64_t monotonicNs()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t(now.tv_sec) * 1000000000 + now.tv_nsec;
}

// Hardware time hw is at air time air; from there hardware time runs `ratio` times as fast as air time, until `end`.
struct Epoch {
    Real hw = 0;
    Real air = 0;
    Real ratio = 1;
    Real end = 1e30L;

    Real toHw(Real at) const { return hw + (at - air) * ratio; }
    Real toAir(Real at) const { return air + (at - hw) / ratio; }
};

// A device's oscillator: hardware time never jumps, only its speed changes.
class Timebase {
public:
    // Hardware time 0 is at a whole second of air time: devices without clock error have their samples on the same grid.
    Timebase(double ppm, int64_t shiftNs) : shift(shiftNs)
    {
        epochs[0].air = Real((now() / 1000000000) * 1000000000);
        epochs[0].ratio = 1 + Real(ppm) * 1e-6L;
    }

    // The air clock as this device sees it (shifted, in tests, as that of another machine is).
    int64_t now() const { return monotonicNs() + shift; }

    void setPpm(double ppm)
    {
        std::lock_guard<std::mutex> lock(mutex);
        const Real ratio = 1 + Real(ppm) * 1e-6L;
        Epoch &last = epochs[count - 1];
        if (ratio == last.ratio) return;
        const Real air = Real(now());
        const Epoch next{last.toHw(air), air, ratio, 1e30L};
        last.end = next.hw;
        if (count == epochs.size()) {
            for (size_t i = 1; i < count; i++) epochs[i - 1] = epochs[i];
            count--;
        }
        epochs[count++] = next;
    }

    // The epoch that holds a hardware time.
    Epoch at(Real hw) const
    {
        std::lock_guard<std::mutex> lock(mutex);
        size_t i = count - 1;
        while (i > 0 && hw < epochs[i].hw) i--;
        return epochs[i];
    }

    Real toAir(Real hw) const { return at(hw).toAir(hw); }

    Real toHw(Real air) const
    {
        std::lock_guard<std::mutex> lock(mutex);
        size_t i = count - 1;
        while (i > 0 && air < epochs[i].air) i--;
        return epochs[i].toHw(air);
    }

    const int64_t shift;

private:
    mutable std::mutex mutex;
    std::array<Epoch, 16> epochs{};
    size_t count = 1;
};

} // namespace zmqradio
