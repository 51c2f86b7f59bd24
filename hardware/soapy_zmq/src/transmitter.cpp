#include "transmitter.hpp"

#include "receiver.hpp"
#include "simd.hpp"

#include <SoapySDR/Constants.h>
#include <SoapySDR/Errors.h>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

namespace zmqradio {

namespace {

constexpr Real kLead = 150e6L; // [ns] that packets leave before they are on the air
constexpr size_t kLeastFifo = 65536;
constexpr long kShortUs = 20000; // that a write waits for which there is to be a timeout

// Saturates at full scale, then the gain; the number of values that saturated.
ZMQRADIO_HOT uint32_t amplify(const float *in, float *out, size_t count, float gain)
{
    uint32_t over = 0;
    for (size_t i = 0; i < count; i++) {
        const float limited = std::min(1.0f, std::max(-1.0f, in[i]));
        over += uint32_t(limited != in[i]);
        out[i] = limited * gain;
    }
    return over;
}

ZMQRADIO_HOT void fromShorts(const int16_t *in, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = float(in[i]) * (1.0f / 32767.0f);
}

auto later(long timeoutUs) { return std::chrono::steady_clock::now() + std::chrono::microseconds(timeoutUs); }

} // namespace

Transmitter::Transmitter(Context &context, Settings &settings_, Timebase &timebase_, const TransmitterOptions &options_, bool shorts_)
    : settings(settings_), timebase(timebase_), options(options_), shorts(shorts_), clock(clockId(timebase_))
{
    for (const std::string &endpoint : options.endpoints) sockets.push_back(Socket::push(context, endpoint));
    newStream();
    fifo.resize(fifoSize());
    staged.reserve(options.whole);
    thread = std::thread([this] { pump(); });
}

Transmitter::~Transmitter()
{
    {
        // What was written goes out, unless it waits for a time that is far away.
        std::unique_lock<std::mutex> lock(mutex);
        const double whole = double(fifo.size()) / rate;
        const long most = long((whole + 0.1) * 1e6);
        if (writerInBurst) lock.unlock(), deactivate(), lock.lock();
        room.wait_until(lock, later(std::min(most, 2000000L)), [this] { return segmentCount == 0; });
        stop = true;
    }
    work.notify_all();
    thread.join();
}

size_t Transmitter::fifoSize() const
{
    if (options.samples) return options.samples;
    return std::max({kLeastFifo, size_t(rate * options.bufferMs * 1e-3), 2 * options.whole});
}

Real Transmitter::lead() const
{
    return options.samples ? std::min(kLead, Real(options.samples) * 1e9L / Real(rate)) : kLead;
}

void Transmitter::newStream()
{
    std::random_device random;
    stream = (uint64_t(random()) << 32) | random();
    number = 0;
    rate = settings.get().rate[SOAPY_SDR_TX];
    inBurst = dropping = false;
    next = std::numeric_limits<int64_t>::min();
}

int Transmitter::activate()
{
    std::lock_guard<std::mutex> lock(mutex);
    if (active) return 0;
    newStream();
    writerInBurst = false;
    underflows = lates = clipped = droppedPackets = 0;
    statusCount = 0;
    timeoutsLeft = options.timeouts;
    staged.clear();
    const size_t size = fifoSize();
    if (size != fifo.size() && used == 0) {
        fifo.assign(size, Sample());
        readAt = 0;
    }
    active = true;
    return 0;
}

int Transmitter::deactivate()
{
    std::unique_lock<std::mutex> lock(mutex);
    if (!active) return 0;
    if (writerInBurst && segmentCount < segments.size()) {
        segments[(firstSegment + segmentCount++) % segments.size()] = {0, false, true, 0};
        writerInBurst = false;
    }
    active = false;
    work.notify_all();
    room.notify_all();
    return 0;
}

void Transmitter::reset()
{
    std::lock_guard<std::mutex> lock(mutex);
    newStream();
    work.notify_all();
}

int Transmitter::write(const void *buffer, size_t count, int flags, long long timeNs, long timeoutUs)
{
    std::unique_lock<std::mutex> lock(mutex);
    if (!active) return SOAPY_SDR_STREAM_ERROR;
    if (timeoutsLeft > 0) {
        timeoutsLeft--;
        room.wait_until(lock, later(std::min(timeoutUs, kShortUs)), [this] { return !active; });
        return SOAPY_SDR_TIMEOUT;
    }
    if (options.whole) return writeWhole(lock, buffer, count, timeoutUs);
    const size_t enough = std::min({count, kPacketSamples, fifo.size() / 2});
    const auto deadline = later(timeoutUs);
    room.wait_until(lock, deadline, [&] { return !active || (fifo.size() - used >= enough && segmentCount < segments.size()); });
    if (!active) return SOAPY_SDR_STREAM_ERROR;
    const size_t taken = std::min(count, fifo.size() - used);
    if (segmentCount == segments.size() || (count > 0 && taken == 0)) return SOAPY_SDR_TIMEOUT;
    const bool end = (flags & SOAPY_SDR_END_BURST) && (taken == count || options.samples);
    for (size_t done = 0; done < taken;) {
        const size_t at = (readAt + used) % fifo.size(), part = std::min(taken - done, fifo.size() - at);
        copy(buffer, done, part, &fifo[at]);
        done += part;
        used += part;
    }
    const bool timed = (flags & SOAPY_SDR_HAS_TIME) && !writerInBurst;
    Segment &last = segments[(firstSegment + segmentCount + segments.size() - 1) % segments.size()];
    if (segmentCount && !last.end && !timed) {
        last.count += taken;
        last.end = end;
    } else if (taken || (end && writerInBurst)) {
        segments[(firstSegment + segmentCount++) % segments.size()] = {taken, timed, end, timeNs};
    }
    if (taken || end) writerInBurst = !end;
    work.notify_all();
    return int(taken);
}

void Transmitter::copy(const void *buffer, size_t from, size_t count, Sample *to) const
{
    if (shorts)
        fromShorts(static_cast<const int16_t *>(buffer) + 2 * from, reinterpret_cast<float *>(to), 2 * count);
    else
        std::memcpy(to, static_cast<const Sample *>(buffer) + from, count * sizeof(Sample));
}

// What does not fill a buffer stays behind, whatever the flags say.
int Transmitter::writeWhole(std::unique_lock<std::mutex> &lock, const void *buffer, size_t count, long timeoutUs)
{
    const auto deadline = later(timeoutUs);
    const auto flush = [&] {
        const bool ready = room.wait_until(lock, deadline, [&] {
            return !active || (fifo.size() - used >= options.whole && segmentCount < segments.size());
        });
        if (!ready || !active) return false;
        append(staged.data(), staged.size());
        staged.clear();
        return true;
    };
    if (staged.size() == options.whole && !flush()) return active ? SOAPY_SDR_TIMEOUT : SOAPY_SDR_STREAM_ERROR;
    const size_t taken = std::min(count, options.whole - staged.size()), had = staged.size();
    staged.resize(had + taken);
    copy(buffer, 0, taken, staged.data() + had);
    if (staged.size() == options.whole) flush();
    return int(taken);
}

void Transmitter::append(const Sample *samples, size_t count)
{
    for (size_t done = 0; done < count;) {
        const size_t at = (readAt + used) % fifo.size(), part = std::min(count - done, fifo.size() - at);
        std::memcpy(&fifo[at], samples + done, part * sizeof(Sample));
        done += part;
        used += part;
    }
    segments[(firstSegment + segmentCount++) % segments.size()] = {count, false, false, 0};
    work.notify_all();
}

int Transmitter::status(int &flags, long long &timeNs, long timeoutUs)
{
    std::unique_lock<std::mutex> lock(mutex);
    const auto deadline = later(timeoutUs);
    for (;;) {
        auto until = deadline;
        if (statusCount) {
            const Status &one = statuses[firstStatus];
            const int64_t wait = one.dueAirNs - timebase.now();
            if (wait <= 0) {
                flags = one.flags;
                timeNs = one.timeNs;
                const int code = one.code;
                firstStatus = (firstStatus + 1) % statuses.size();
                statusCount--;
                return code;
            }
            until = std::min(until, std::chrono::steady_clock::now() + std::chrono::nanoseconds(wait));
        }
        if (news.wait_until(lock, until) == std::cv_status::timeout && std::chrono::steady_clock::now() >= deadline)
            return SOAPY_SDR_TIMEOUT;
    }
}

void Transmitter::report(int code, int flags, int64_t index)
{
    if (statusCount == statuses.size()) { // nobody reads them
        firstStatus = (firstStatus + 1) % statuses.size();
        statusCount--;
    }
    const int64_t due = code == 0 ? int64_t(airOf(index)) : timebase.now();
    const long long time = (long long)std::llround(Real(index) * 1e9L / Real(rate));
    statuses[(firstStatus + statusCount++) % statuses.size()] = {code, flags | SOAPY_SDR_HAS_TIME, time, due};
    news.notify_all();
}

void Transmitter::popSamples(size_t count)
{
    readAt = (readAt + count) % fifo.size();
    used -= count;
    room.notify_all();
}

void Transmitter::popSegment()
{
    firstSegment = (firstSegment + 1) % segments.size();
    segmentCount--;
    room.notify_all();
}

void Transmitter::waitUntil(std::unique_lock<std::mutex> &lock, Real air)
{
    const int64_t wait = std::max<int64_t>(1000, int64_t(air) - timebase.now());
    work.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::nanoseconds(wait));
}

void Transmitter::pump()
{
    std::unique_lock<std::mutex> lock(mutex);
    while (!stop)
        if (!step(lock) && !stop) work.wait(lock);
}

// The burst ran dry: what comes next begins again, a little later.
void Transmitter::dry(int64_t)
{
    inBurst = false;
    if (options.whole) return; // such a driver does not tell
    underflows++;
    report(SOAPY_SDR_UNDERFLOW, 0, next);
}

// One thing to do, waiting for its time; false where there is nothing to do until somebody writes.
bool Transmitter::step(std::unique_lock<std::mutex> &lock)
{
    const int64_t now = timebase.now();
    if (segmentCount == 0) {
        if (!inBurst || dropping) return false;
        if (airOf(next) > Real(now))
            waitUntil(lock, airOf(next));
        else
            dry(now);
        return true;
    }
    Segment &segment = front();
    if (segment.timed && inBurst) inBurst = dropping = false; // what came before ended without saying so
    if (!inBurst) {
        if (segment.count == 0) { // the end of a burst that has ended already
            popSegment();
            return true;
        }
        inBurst = first = true;
        const int64_t soon = int64_t(std::ceil(timebase.toHw(Real(now)) * 1e-9L * Real(rate)));
        if (segment.timed) {
            const int64_t index = int64_t(std::llround(Real(segment.timeNs) * 1e-9L * Real(rate)));
            segment.timed = false;
            if (index < soon || index < next) {
                lates++;
                report(SOAPY_SDR_TIME_ERROR, 0, index);
                dropping = true;
            } else {
                next = index;
            }
        } else {
            next = std::max(next, soon + int64_t(std::ceil(options.startMs * 1e-3 * rate)));
        }
    }
    if (dropping) {
        popSamples(segment.count);
        if (segment.end) inBurst = dropping = false;
        popSegment();
        return true;
    }
    if (airOf(next) < Real(now)) { // it came, but after its time
        dry(now);
        return true;
    }
    if (const int64_t hole = first ? 0 : settings.underflow.exchange(0)) {
        underflows++;
        report(SOAPY_SDR_UNDERFLOW, 0, next);
        next += hole;
    }
    if (airOf(next) - Real(now) > lead()) {
        waitUntil(lock, airOf(next) - lead());
        return true;
    }
    const size_t count = std::min({segment.count, kPacketSamples, fifo.size() - readAt});
    const bool last = segment.end && count == segment.count;
    if (count) send(lock, count, last);
    if (stop) return true;
    Segment &same = front(); // the writer may have added to it meanwhile, not removed it
    same.count -= count;
    if (same.count == 0) {
        if (same.end) {
            report(0, SOAPY_SDR_END_BURST, next);
            inBurst = false;
        }
        popSegment();
    }
    return true;
}

void Transmitter::send(std::unique_lock<std::mutex> &lock, size_t count, bool last)
{
    const Params params = settings.get();
    const Real hw = Real(next) * 1e9L / Real(rate);
    const Epoch epoch = timebase.at(hw);
    const int64_t epochIndex = int64_t(std::ceil(epoch.hw * 1e-9L * Real(rate)));
    const Real air = epoch.toAir(Real(epochIndex) * 1e9L / Real(rate)), whole = std::floor(air);
    WireHeader header{};
    std::memcpy(header.magic, "SZMQ", 4);
    header.version = kWireVersion;
    header.headerBytes = sizeof header;
    header.flags = (first ? kBurstStart : 0) | (last ? kBurstEnd : 0);
    header.samples = uint32_t(count);
    header.stream = stream;
    header.number = number++;
    header.index = next;
    header.epochIndex = epochIndex;
    header.epochAirNs = int64_t(whole);
    header.epochAirFraction = double(air - whole);
    header.rate = double(Real(rate) * epoch.ratio);
    header.frequency = double(Real(params.rf[SOAPY_SDR_TX] + params.bb[SOAPY_SDR_TX]) * epoch.ratio);
    header.clock = clock;
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, sizeof header + count * sizeof(Sample))) return;
    char *data = static_cast<char *>(zmq_msg_data(&message));
    std::memcpy(data, &header, sizeof header);
    const float gain = float(std::pow(10, (params.pga + params.pa) / 20));
    clipped += amplify(reinterpret_cast<const float *>(&fifo[readAt]), reinterpret_cast<float *>(data + sizeof header), 2 * count, gain);
    popSamples(count);
    next += int64_t(count);
    first = false;
    lock.unlock();
    for (Socket &socket : sockets) {
        zmq_msg_t copy; // shares the samples
        zmq_msg_init(&copy);
        zmq_msg_copy(&copy, &message);
        if (zmq_msg_send(&copy, socket.handle, ZMQ_DONTWAIT) < 0) {
            droppedPackets++;
            zmq_msg_close(&copy);
        }
    }
    zmq_msg_close(&message);
    lock.lock();
}

} // namespace zmqradio
