#include "receiver.hpp"

#include "simd.hpp"

#include <SoapySDR/Constants.h>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Logger.hpp>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace zmqradio {

namespace {

constexpr double kTarget = -12;             // [dBFS] what the AGC aims at
constexpr double kMaxGain = 60, kStuck = 80; // [dB]
constexpr double kAhead = 0.25;             // [s] that a transmitter may be ahead
constexpr int64_t kFarthest = int64_t(1) << 60; // [samples], [ns] beyond which no clock of ours gets
constexpr int64_t kForgotten = 1000000000;   // [ns] after which a silent transmitter makes room for another

bool far(int64_t value) { return value > kFarthest || value < -kFarthest; }

double power(double db) { return std::pow(10, db / 10); }

// I' = I a, Q' = Q b + I c, plus DC, clipped at full scale; mean power before clipping and the number of clipped samples.
ZMQRADIO_HOT double finish(float *x, size_t count, float a, float b, float c, float dcI, float dcQ, uint64_t &clipped)
{
    float sum = 0;
    uint32_t over = 0;
    for (size_t i = 0; i < count; i++) {
        const float re = x[2 * i] * a + dcI, im = x[2 * i + 1] * b + x[2 * i] * c + dcQ;
        sum += re * re + im * im;
        const float lr = std::min(1.0f, std::max(-1.0f, re)), li = std::min(1.0f, std::max(-1.0f, im));
        over += uint32_t((lr != re) | (li != im));
        x[2 * i] = lr;
        x[2 * i + 1] = li;
    }
    clipped += over;
    return double(sum) / double(count);
}

ZMQRADIO_HOT void toShorts(const float *in, int16_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = int16_t(in[i] * 32767.0f + (in[i] < 0 ? -0.5f : 0.5f));
}

ZMQRADIO_HOT void scale(float *x, size_t count, float by)
{
    for (size_t i = 0; i < count; i++) x[i] *= by;
}

} // namespace

// Equal in programs that share CLOCK_MONOTONIC: the same boot of the same machine.
uint64_t clockId(const Timebase &timebase)
{
    uint64_t hash = 0xcbf29ce484222325u;
    if (FILE *file = std::fopen("/proc/sys/kernel/random/boot_id", "r")) {
        for (int c; (c = std::fgetc(file)) != EOF;) hash = (hash ^ uint64_t(c)) * 0x100000001b3u;
        std::fclose(file);
    }
    return hash + uint64_t(timebase.shift);
}

Receiver::Receiver(Context &context, Settings &settings_, Timebase &timebase_, const ReceiverOptions &options_, bool shorts_)
    : settings(settings_), timebase(timebase_), options(options_), shorts(shorts_), clock(clockId(timebase_)),
      socket(Socket::pull(context, options_.endpoint)), block(Source::kRenderBlock)
{
    thread = std::thread([this] { listen(); });
}

Receiver::~Receiver()
{
    stop = true;
    changed.notify_all();
    thread.join();
}

void Receiver::listen()
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (!stop) {
        zmq_pollitem_t item{socket.handle, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, 20) <= 0) continue;
        for (int i = 0; i < 64 && zmq_msg_recv(&message, socket.handle, ZMQ_DONTWAIT) >= 0; i++)
            take(zmq_msg_data(&message), zmq_msg_size(&message));
    }
    zmq_msg_close(&message);
}

void Receiver::take(const void *message, size_t size)
{
    WireHeader header;
    if (size >= sizeof header) std::memcpy(&header, message, sizeof header);
    if (size < sizeof header || std::memcmp(header.magic, "SZMQ", 4) || header.version != kWireVersion ||
        header.headerBytes != sizeof header || header.samples == 0 || header.samples > kPacketSamples ||
        size != sizeof header + header.samples * sizeof(Sample) || !(header.rate >= 1 && header.rate <= 1e9) ||
        !(std::fabs(header.frequency) <= 1e12) || !(std::fabs(header.epochAirFraction) <= 1) || header.index < 0 ||
        header.index > kFarthest || far(header.epochIndex) || far(header.epochAirNs)) {
        malformed++;
        return;
    }
    const int64_t now = timebase.now();
    std::lock_guard<std::mutex> lock(sourcesMutex);
    Source *found = nullptr;
    for (Source &one : sources)
        if (one.used && one.stream == header.stream) found = &one;
    if (!found) {
        found = &sources[0];
        for (Source &one : sources)
            if (found->used && (!one.used || one.lastArrival < found->lastArrival)) found = &one;
        if (found->used) {
            pastPackets += found->packets;
            pastLost += found->lostPackets;
        }
        const double ours = settings.get().rate[SOAPY_SDR_RX], ratio = header.rate / ours;
        if (ratio > Source::kLargestRatio || ratio < 1 / Source::kLargestRatio)
            SoapySDR::logf(SOAPY_SDR_ERROR, "zmq: a transmitter of %g samples/s cannot be heard at %g samples/s: at most %g times as many or few",
                           header.rate, ours, Source::kLargestRatio);
        const Real air = Real(header.epochAirNs) + Real(header.index - header.epochIndex) * 1e9L / Real(header.rate);
        const int64_t foreign = header.clock == clock ? 0 : now + 10000000 - int64_t(air);
        found->open(header, (options.bufferMs + options.latencyMs) * 1e-3 + kAhead, now, foreign);
    }
    found->write(header, reinterpret_cast<const Sample *>(static_cast<const char *>(message) + sizeof header), now);
}

size_t Receiver::transmitters() const
{
    std::lock_guard<std::mutex> lock(sourcesMutex);
    const int64_t since = timebase.now() - kForgotten;
    return size_t(std::count_if(sources.begin(), sources.end(), [&](const Source &s) { return s.used && s.lastArrival > since; }));
}

uint64_t Receiver::packets() const
{
    std::lock_guard<std::mutex> lock(sourcesMutex);
    uint64_t sum = pastPackets;
    for (const Source &s : sources) sum += s.used ? s.packets : 0;
    return sum;
}

uint64_t Receiver::lostPackets() const
{
    std::lock_guard<std::mutex> lock(sourcesMutex);
    uint64_t sum = pastLost;
    for (const Source &s : sources) sum += s.used ? s.lostPackets : 0;
    return sum;
}

int64_t Receiver::onAir() const
{
    const Real air = Real(timebase.now()) - Real(options.latencyMs) * 1e6L;
    return int64_t(std::floor(timebase.toHw(air) * 1e-9L * Real(rate)));
}

long long Receiver::timeOf(int64_t index) const { return (long long)std::llround(Real(index - slipped) * 1e9L / Real(rate)); }

int Receiver::activate(int flags, long long timeNs, size_t numElems)
{
    std::lock_guard<std::mutex> lock(mutex);
    rate = settings.get().rate[SOAPY_SDR_RX];
    const int64_t now = int64_t(std::floor(timebase.toHw(Real(timebase.now())) * 1e-9L * Real(rate)));
    late = false;
    start = now;
    slipped = 0;
    if (flags & SOAPY_SDR_HAS_TIME) {
        start = int64_t(std::llround(Real(timeNs) * 1e-9L * Real(rate)));
        late = start < now;
        if (late) start = now;
    }
    next = start;
    remaining = numElems ? int64_t(numElems) : -1;
    overflows = lostSamples = clipped = 0;
    stalled = false;
    timeoutsLeft = options.timeouts;
    agcDb = 30;
    active = true;
    return 0;
}

int Receiver::deactivate()
{
    std::lock_guard<std::mutex> lock(mutex);
    active = false;
    changed.notify_all();
    return 0;
}

void Receiver::reset()
{
    bool was;
    {
        std::lock_guard<std::mutex> lock(mutex);
        was = active;
    }
    if (was) activate(0, 0, 0);
}

double Receiver::gain(const Params &params) const
{
    if (params.agcStuck != 0) return kStuck;
    return params.agc ? agcDb : params.lna + params.vga;
}

Reception Receiver::reception(int64_t index, const Params &params, size_t &count) const
{
    const Real hw = Real(index) * 1e9L / Real(rate);
    const Epoch epoch = timebase.at(hw);
    if (epoch.end < hw + Real(count) * 1e9L / Real(rate))
        count = size_t(std::max<Real>(1, std::ceil((epoch.end - hw) * 1e-9L * Real(rate))));
    const double carrier = double(Real(params.rf[SOAPY_SDR_RX] + params.bb[SOAPY_SDR_RX]) * epoch.ratio);
    const double wide = params.bandwidth[SOAPY_SDR_RX] > 0 ? params.bandwidth[SOAPY_SDR_RX] : rate;
    return {epoch.toAir(hw) - Real(params.delayNs), Real(double(Real(rate) * epoch.ratio)), carrier, wide * double(epoch.ratio)};
}

void Receiver::skip(int64_t count, const Params &params)
{
    size_t whole = size_t(-1) >> 1;
    const Reception at = reception(next, params, whole);
    std::lock_guard<std::mutex> lock(sourcesMutex);
    for (Source &one : sources)
        if (one.used) one.skip(at, uint64_t(count));
    next += count;
}

void Receiver::render(Sample *out, size_t count, const Params &params)
{
    std::fill(out, out + count, Sample());
    for (size_t done = 0; done < count;) {
        size_t part = count - done;
        const Reception at = reception(next + int64_t(done), params, part);
        std::lock_guard<std::mutex> lock(sourcesMutex);
        for (Source &one : sources)
            if (one.used) one.render(at, out + done, part);
        done += part;
    }
    const double db = gain(params);
    float *x = reinterpret_cast<float *>(out);
    if (db != params.pathLoss) scale(x, 2 * count, float(std::pow(10, (db - params.pathLoss) / 20)));
    noise.add(params.seed, uint64_t(next - start), float(std::sqrt(power(params.noiseFloor + db) + power(params.adcNoise))), out, count);
    const double half = std::pow(10, params.iqGainDb / 40), angle = params.iqPhaseDeg * M_PI / 180;
    if (!params.dcAutomatic) dcMean = 0;
    uint64_t over = 0;
    const double mean = finish(x, count, float(half), float(std::cos(angle) / half), float(std::sin(angle) / half),
                               float(params.dcI + params.dcCorrection.real() - dcMean.real()),
                               float(params.dcQ + params.dcCorrection.imag() - dcMean.imag()), over);
    if (params.dcAutomatic) {
        std::complex<double> sum = 0;
        for (size_t i = 0; i < count; i++) sum += std::complex<double>(out[i]);
        dcMean += sum / double(count) * 0.1;
    }
    if (params.swapIq != 0)
        for (size_t i = 0; i < count; i++) std::swap(x[2 * i], x[2 * i + 1]);
    clipped += over;
    const double level = 10 * std::log10(mean + 1e-30);
    rssi = level;
    if (params.agc) agcDb = std::clamp(agcDb + std::clamp((kTarget - level) / 4, -3.0, 0.5), 0.0, kMaxGain);
    next += int64_t(count);
}

int Receiver::read(void *buffer, size_t count, int &flags, long long &timeNs, long timeoutUs)
{
    flags = 0;
    std::unique_lock<std::mutex> lock(mutex);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(timeoutUs);
    if (!active || remaining == 0 || stalled || timeoutsLeft > 0) {
        timeoutsLeft = std::max(0, timeoutsLeft - 1);
        changed.wait_until(lock, deadline, [this] { return bool(stop); });
        return SOAPY_SDR_TIMEOUT;
    }
    if (late) {
        late = false;
        active = false;
        return SOAPY_SDR_TIME_ERROR;
    }
    const Params params = settings.get();
    const int64_t ends = remaining < 0 ? int64_t(count) : std::min(remaining, int64_t(count));
    const int64_t target = std::min<int64_t>(ends, kMtu);
    int64_t lost = settings.overflow.exchange(0);
    const int64_t silent = settings.drop.exchange(0);
    if (silent) {
        skip(silent, params);
        slipped += silent;
    }
    const double kept = double(Source::kLargest) - rate * (options.latencyMs * 1e-3 + kAhead);
    const int64_t room = std::max(int64_t(std::min(rate * options.bufferMs * 1e-3, kept)), int64_t(2 * kMtu));
    if (onAir() - next > room) lost = std::max(lost, onAir() - next - room / 2);
    if (lost) {
        flags = SOAPY_SDR_HAS_TIME;
        timeNs = timeOf(next);
        skip(lost, params);
        overflows++;
        lostSamples += uint64_t(lost);
        stalled = options.stall;
        return SOAPY_SDR_OVERFLOW;
    }
    int64_t ready;
    while ((ready = onAir() - next) < target) {
        if (!active || stop) return SOAPY_SDR_TIMEOUT;
        const Real air = timebase.toAir(Real(next + target) * 1e9L / Real(rate)) + Real(options.latencyMs) * 1e6L;
        const auto wait = std::chrono::nanoseconds(std::max<int64_t>(1000, int64_t(air) + 1000 - timebase.now()));
        const auto until = std::chrono::steady_clock::now() + wait;
        if (until > deadline) {
            changed.wait_until(lock, deadline);
            if (std::chrono::steady_clock::now() < deadline) continue;
            ready = onAir() - next;
            break;
        }
        changed.wait_until(lock, until);
    }
    if (ready <= 0) return SOAPY_SDR_TIMEOUT;
    const size_t got = size_t(std::min(ready, ends));
    flags = SOAPY_SDR_HAS_TIME;
    timeNs = timeOf(next);
    for (size_t done = 0; done < got;) {
        const size_t part = std::min(got - done, Source::kRenderBlock);
        Sample *out = shorts ? block.data() : static_cast<Sample *>(buffer) + done;
        render(out, part, params);
        if (shorts) toShorts(reinterpret_cast<const float *>(out), static_cast<int16_t *>(buffer) + 2 * done, 2 * part);
        done += part;
    }
    if (remaining > 0 && (remaining -= int64_t(got)) == 0) flags |= SOAPY_SDR_END_BURST;
    return int(got);
}

} // namespace zmqradio
