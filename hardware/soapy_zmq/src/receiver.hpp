// The receiving stream of a device.
//
//   PULL socket ──thread──► sources (a ring each) ──reader's thread──► sum ──gain──► noise ──IQ, DC──► clip ──► CF32, CS16
//
// What has been on the air becomes readable `latency` later. Nothing is computed ahead: a reader that is slow leaves
// samples unread until `buffer` of them wait, then loses them.
#pragma once

#include "noise.hpp"
#include "settings.hpp"
#include "socket.hpp"
#include "source.hpp"

#include <condition_variable>
#include <thread>

namespace zmqradio {

struct ReceiverOptions {
    std::string endpoint;
    double latencyMs = 20, bufferMs = 250;
    int timeouts = 0;   // of readStream after each activation
    bool stall = false; // nothing comes after an overflow
};

class Receiver {
public:
    static constexpr size_t kMtu = 4096;

    Receiver(Context &context, Settings &settings, Timebase &timebase, const ReceiverOptions &options, bool shorts);
    ~Receiver();

    int activate(int flags, long long timeNs, size_t numElems);
    int deactivate();
    void reset(); // the sample rate changed
    int read(void *buffer, size_t count, int &flags, long long &timeNs, long timeoutUs);

    size_t transmitters() const; // heard within the last second
    uint64_t packets() const, lostPackets() const;

    std::atomic<uint64_t> overflows{0}, lostSamples{0}, clipped{0}, malformed{0};
    std::atomic<double> rssi{-300}; // [dBFS]

private:
    void listen();
    void take(const void *message, size_t size);
    Reception reception(int64_t index, const Params &params, size_t &count) const;
    void skip(int64_t count, const Params &params);
    void render(Sample *out, size_t count, const Params &params);
    double gain(const Params &params) const;
    int64_t onAir() const; // index after the last sample that can be read now
    long long timeOf(int64_t index) const;

    Settings &settings;
    Timebase &timebase;
    const ReceiverOptions options;
    const bool shorts;
    const uint64_t clock;

    Socket socket;
    mutable std::mutex sourcesMutex;
    std::array<Source, 4> sources;
    uint64_t pastPackets = 0, pastLost = 0;

    std::mutex mutex; // of what follows: the reader's state
    std::condition_variable changed;
    bool active = false;
    double rate = 1e6;
    int64_t start = 0, next = 0, slipped = 0; // sample indices; slipped: lost without a sign
    int64_t remaining = -1;                   // samples until the acquisition ends; -1: it does not
    bool late = false, stalled = false;
    int timeoutsLeft = 0;
    double agcDb = 30;
    std::complex<double> dcMean = 0; // what the automatic correction takes off
    Noise noise;
    std::vector<Sample> block;

    std::atomic<bool> stop{false};
    std::thread thread;
};

uint64_t clockId(const Timebase &timebase);

} // namespace zmqradio
