// Speed without a clock: one core, one thing at a time.
//
//   zmq_bench
#include "noise.hpp"
#include "source.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

using namespace zmqradio;

namespace {

// Millions of samples a second of something that makes Source::kRenderBlock of them, best of five.
double speed(const std::function<void(size_t)> &block)
{
    double best = 0;
    for (int round = 0; round < 5; round++) {
        const auto begin = std::chrono::steady_clock::now();
        const size_t blocks = 1000;
        for (size_t i = 0; i < blocks; i++) block(i);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        best = std::max(best, double(blocks * Source::kRenderBlock) / seconds * 1e-6);
    }
    return best;
}

} // namespace

int main()
{
    std::vector<Sample> in(1 << 20), out(Source::kRenderBlock);
    for (size_t i = 0; i < in.size(); i++) in[i] = Sample(float(i % 7) * 0.1f, float(i % 11) * 0.1f);
    Noise noise;
    std::printf("%-52s %8s\n", "one core", "Msps");
    std::printf("%-52s %8.1f\n", "noise", speed([&](size_t i) { noise.add(1, i * out.size(), 0.1f, out.data(), out.size()); }));

    Source source;
    WireHeader header{};
    header.stream = 1;
    header.samples = kPacketSamples;
    header.rate = 10e6;
    header.frequency = 1e9;
    const auto feed = [&](size_t i, const Reception &at) { // two blocks a packet
        if (i % 2 == 0) {
            source.write(header, &in[(i * out.size()) % (in.size() / 2)], 0);
            header.index += kPacketSamples;
            header.number++;
        }
        source.render(at, out.data(), out.size());
    };
    const struct {
        const char *name;
        double rate, offset, bandwidth;
    } cases[] = {
        {"transmitter on the same clock and carrier", 10e6, 0, 10e6},
        {"carrier 40 kHz away", 10e6, 40e3, 10e6},
        {"carrier 40 kHz, sample clock 20 ppm away", 10e6 * (1 + 20e-6), 40e3, 10e6},
        {"carrier 4 MHz away: part of the band", 10e6 * (1 + 20e-6), 4e6, 10e6},
        {"a receiver at half the rate", 5e6, 0, 5e6},
    };
    for (const auto &one : cases) {
        header.index = header.number = 0;
        source.open(header, 0.4, 0, 0);
        size_t at = 0;
        std::printf("%-52s %8.1f\n", one.name, speed([&](size_t i) {
                        if (i == 0) { // begin anew: what is rendered is always there
                            header.index = 0;
                            header.number = 0;
                            source.open(header, 0.4, 0, 0);
                            at = 0;
                        }
                        const Reception reception{Real(at) * 1e9L / Real(one.rate) + 100, Real(one.rate), 1e9 - one.offset, one.bandwidth};
                        if (one.rate < 6e6) feed(2 * i, reception); // a packet a block
                        else feed(i, reception);
                        at += out.size();
                    }));
    }
    return 0;
}
