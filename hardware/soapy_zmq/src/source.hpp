// One transmitter as a receiver hears it: its last samples, and what they become on the receiver's clock and carrier.
#pragma once

#include "clock.hpp"
#include "kernel.hpp"
#include "wire.hpp"

#include <array>

namespace zmqradio {

// The receiver's side of a block: air time of its first sample (before the path's delay), true rate and carrier.
struct Reception {
    Real air;
    Real rate;
    double frequency;
    double bandwidth; // Hz that the receiver hears, at most its rate
};

class Source {
public:
    // Forget everything and listen to another stream; room for `seconds` of its samples. False: it has no room for them.
    void open(const WireHeader &header, double seconds, int64_t now, int64_t airShift);
    void close() { used = false; }

    // Samples of the present stream; ones that came before are ignored, ones left out are silence.
    void write(const WireHeader &header, const Sample *samples, int64_t now);

    // out[i] += this transmitter's signal. count <= kRenderBlock.
    void render(const Reception &reception, Sample *out, size_t count);

    // Time passes without being heard: the phase of the carriers' difference goes on.
    void skip(const Reception &reception, uint64_t count);

    bool used = false;
    uint64_t stream = 0;
    int64_t lastArrival = 0; // [ns]
    uint64_t packets = 0, lostPackets = 0;

    static constexpr size_t kRenderBlock = 2048;
    static constexpr double kLargestRatio = 16; // of the transmitter's rate to the receiver's, and back
    static constexpr size_t kLargest = 1u << 26; // samples of a stream that are kept

private:
    // From sample `from` on, which is on the air at `air`.
    struct Map {
        int64_t from;
        Real air;
        double rate, frequency;
        WireHeader raw;
    };

    Real airOf(const WireHeader &header, int64_t index) const;
    const Sample *window(int64_t first, size_t count);
    void remember(const WireHeader &header);
    double turns(const Map &map, const Reception &reception, uint64_t count) const;

    std::vector<Sample> ring;
    int64_t low = 0, high = 0; // samples [low, high) are in the ring
    uint64_t nextNumber = 0;
    int64_t airShift = 0;
    std::array<Map, 16> maps{};
    size_t mapCount = 0;
    double phase = 0; // [turns] of the carriers' difference
    Kernel kernel;
    std::vector<Sample> scratch, made;
};

} // namespace zmqradio
