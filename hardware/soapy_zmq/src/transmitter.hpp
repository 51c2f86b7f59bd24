// The transmitting stream of a device.
//
//   writeStream ──► FIFO of samples and bursts ──thread──► clip ──gain──► packets ──PUSH──► each receiver's own socket
//
// Packets leave up to 150 ms before they are on the air, with the time at which they are: the wait is at the receiver, so
// that a machine that is busy for a moment delays nothing.
#pragma once

#include "kernel.hpp"
#include "settings.hpp"
#include "socket.hpp"
#include "clock.hpp"
#include "wire.hpp"

#include <array>
#include <condition_variable>
#include <thread>

namespace zmqradio {

struct TransmitterOptions {
    std::vector<std::string> endpoints;
    double bufferMs = 100, startMs = 10;
    size_t whole = 0;    // samples: only so many leave at once, the end of a burst and its time are ignored; 0: no
    size_t samples = 0;  // of the buffer, in the place of bufferMs, and as far ahead of their time; the end of a burst
                         // counts even where a write is taken in part; 0: by bufferMs
    int timeouts = 0;    // of writeStream after each activation
};

struct Status {
    int code = 0, flags = 0;
    long long timeNs = 0;
    int64_t dueAirNs = 0; // not reported before
};

class Transmitter {
public:
    Transmitter(Context &context, Settings &settings, Timebase &timebase, const TransmitterOptions &options, bool shorts);
    ~Transmitter();

    int activate();
    int deactivate();
    void reset(); // the sample rate changed
    int write(const void *buffer, size_t count, int flags, long long timeNs, long timeoutUs);
    int status(int &flags, long long &timeNs, long timeoutUs);

    std::atomic<uint64_t> underflows{0}, lates{0}, clipped{0}, droppedPackets{0};

private:
    struct Segment {
        size_t count;
        bool timed, end;
        long long timeNs;
    };

    void pump();
    bool step(std::unique_lock<std::mutex> &lock);
    void send(std::unique_lock<std::mutex> &lock, size_t count, bool last);
    void dry(int64_t now);
    void report(int code, int flags, int64_t index);
    void newStream();
    void popSamples(size_t count);
    Segment &front() { return segments[firstSegment]; }
    void popSegment();
    size_t fifoSize() const;
    Real lead() const;
    void copy(const void *buffer, size_t from, size_t count, Sample *to) const;
    int writeWhole(std::unique_lock<std::mutex> &lock, const void *buffer, size_t count, long timeoutUs);
    void append(const Sample *samples, size_t count);
    Real airOf(int64_t index) const { return timebase.toAir(Real(index) * 1e9L / Real(rate)); }
    void waitUntil(std::unique_lock<std::mutex> &lock, Real air);

    Settings &settings;
    Timebase &timebase;
    const TransmitterOptions options;
    const bool shorts;
    const uint64_t clock;
    std::vector<Socket> sockets;

    std::mutex mutex; // of everything below
    std::condition_variable work, room, news;
    std::vector<Sample> fifo;
    size_t readAt = 0, used = 0;
    std::array<Segment, 1024> segments{};
    size_t firstSegment = 0, segmentCount = 0;
    bool active = false, writerInBurst = false;
    int timeoutsLeft = 0;
    std::vector<Sample> staged; // of the next whole buffer

    double rate = 1e6;
    uint64_t stream = 0, number = 0;
    bool inBurst = false, dropping = false, first = false;
    int64_t next = 0; // index of the next sample on the air

    std::array<Status, 256> statuses{};
    size_t firstStatus = 0, statusCount = 0;

    bool stop = false;
    std::thread thread;
};

} // namespace zmqradio
