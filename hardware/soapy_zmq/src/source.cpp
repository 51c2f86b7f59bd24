#include "source.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace zmqradio {

namespace {

constexpr int64_t kFar = 10000000; // [ns] a foreign clock's error that is corrected at the start of a burst

Real fractional(Real x) { return x - std::floor(x); }

} // namespace

Real Source::airOf(const WireHeader &header, int64_t index) const
{
    const Real epoch = Real(header.epochAirNs) + Real(header.epochAirFraction) + Real(airShift);
    return epoch + Real(index - header.epochIndex) * 1e9L / Real(header.rate);
}

void Source::open(const WireHeader &header, double seconds, int64_t now, int64_t shift)
{
    size_t room = 65536;
    while (double(room) < header.rate * seconds && room < kLargest) room *= 2;
    if (ring.size() != room) ring.assign(room, Sample());
    scratch.resize(size_t(kRenderBlock * kLargestRatio) + Kernel::kMaxTaps + 8);
    made.resize(kRenderBlock);
    used = true;
    stream = header.stream;
    low = high = header.index;
    nextNumber = header.number;
    airShift = shift;
    packets = lostPackets = 0;
    lastArrival = now;
    mapCount = 0;
    phase = 0;
}

void Source::remember(const WireHeader &header)
{
    if (mapCount) {
        const WireHeader &last = maps[mapCount - 1].raw;
        if (last.epochIndex == header.epochIndex && last.epochAirNs == header.epochAirNs && last.rate == header.rate &&
            last.frequency == header.frequency)
            return;
        if (mapCount == maps.size()) {
            std::copy(maps.begin() + 1, maps.end(), maps.begin());
            mapCount--;
        }
    }
    maps[mapCount++] = {header.index, airOf(header, header.index), header.rate, header.frequency, header};
}

void Source::write(const WireHeader &header, const Sample *samples, int64_t now)
{
    if (airShift != 0 && (header.flags & kBurstStart)) {
        // A foreign clock drifts against ours: a burst is never too late to be heard, nor far ahead.
        const Real ahead = airOf(header, header.index) - Real(now);
        if (ahead < 0 || ahead > 2e8L) {
            airShift += int64_t(Real(kFar) - ahead);
            mapCount = 0;
        }
    }
    lastArrival = now;
    packets++;
    if (header.number > nextNumber) lostPackets += header.number - nextNumber;
    nextNumber = header.number + 1;
    const int64_t size = int64_t(ring.size()), end = header.index + header.samples;
    if (header.index < high && high > low) {
        if (end <= high) return;
        samples += high - header.index;
    } else if (header.index - high >= size) {
        std::fill(ring.begin(), ring.end(), Sample());
    } else {
        for (int64_t i = high; i < header.index; i++) ring[size_t(i & (size - 1))] = Sample();
    }
    const int64_t begin = std::max(header.index, high);
    remember(header);
    for (int64_t i = begin; i < end;) {
        const size_t at = size_t(i & (size - 1)), part = std::min<size_t>(ring.size() - at, size_t(end - i));
        std::memcpy(&ring[at], samples + (i - begin), part * sizeof(Sample));
        i += int64_t(part);
    }
    high = end;
    low = std::max(low, high - size);
}

// Samples [first, first + count), silence where there are none; null where there are none at all.
const Sample *Source::window(int64_t first, size_t count)
{
    const int64_t last = first + int64_t(count), size = int64_t(ring.size());
    if (last <= low || first >= high) return nullptr;
    const int64_t begin = std::max(first, low), end = std::min(last, high);
    std::fill(scratch.begin(), scratch.begin() + (begin - first), Sample());
    std::fill(scratch.begin() + (end - first), scratch.begin() + int64_t(count), Sample());
    for (int64_t i = begin; i < end;) {
        const size_t at = size_t(i & (size - 1)), part = std::min<size_t>(ring.size() - at, size_t(end - i));
        std::memcpy(&scratch[size_t(i - first)], &ring[at], part * sizeof(Sample));
        i += int64_t(part);
    }
    return scratch.data();
}

double Source::turns(const Map &map, const Reception &reception, uint64_t count) const
{
    return double(fractional(Real(count) * (Real(map.frequency) - Real(reception.frequency)) / reception.rate));
}

void Source::skip(const Reception &reception, uint64_t count)
{
    if (!mapCount) return;
    phase += turns(maps[mapCount - 1], reception, count);
    phase -= std::floor(phase);
}

void Source::render(const Reception &reception, Sample *out, size_t count)
{
    if (!mapCount) return;
    for (size_t done = 0; done < count;) {
        const Real air = reception.air + Real(done) * 1e9L / reception.rate;
        size_t m = mapCount - 1;
        while (m > 0 && air < maps[m].air) m--;
        const Map &map = maps[m];
        size_t part = count - done;
        if (m + 1 < mapCount) {
            const Real until = std::ceil((maps[m + 1].air - air) * 1e-9L * reception.rate);
            part = size_t(std::clamp<Real>(until, 1, Real(part)));
        }
        const Real ratio = Real(map.rate) / reception.rate;
        Real position = (air - map.air) * 1e-9L * Real(map.rate);
        const Real whole = std::floor(position + 1e-5L); // grids that agree are not interpolated
        const Real rest = std::max<Real>(0, position - whole);
        const int64_t first = map.from + int64_t(whole);
        const double shift = map.frequency - reception.frequency, step = shift / double(reception.rate);
        // The transmitter's band as far as it lies in the receiver's; one small offset does not move it.
        const double half = map.rate / 2, hears = std::min<double>(reception.bandwidth, double(reception.rate)) / 2;
        double from = std::max(-half, -hears - shift), to = std::min(half, hears - shift);
        if (std::abs(shift) < 0.04 * 2 * std::min(half, hears)) {
            to = std::min(half, hears);
            from = -to;
        }
        const bool heard = to > from && ratio <= kLargestRatio && ratio >= 1 / Real(kLargestRatio);
        if (heard) {
            const double grid = 256 / map.rate; // kernels are not redesigned for each hertz
            const double center = std::round((from + to) / 2 * grid) / 256;
            const double width = std::max(1.0, std::round((to - from) * grid)) / 256;
            Sample *target = made.data();
            bool any = false;
            if (ratio == 1 && rest < 1e-5L && center == 0 && width == 1) {
                if (const Sample *in = window(first, part)) {
                    std::copy(in, in + part, target);
                    any = true;
                }
            } else {
                kernel.design(center, width);
                const Real steps = ratio * 0x1p64L;
                const auto fixedStep = static_cast<unsigned __int128>(steps);
                const size_t reach = size_t(std::ceil(Real(part) * ratio)) + 2;
                const size_t needed = reach + size_t(kernel.before() + kernel.after());
                if (const Sample *in = window(first - kernel.before(), needed)) {
                    kernel.apply(in, static_cast<uint64_t>(rest * 0x1p64L), fixedStep, target, part);
                    any = true;
                }
            }
            if (any) {
                if (step != 0 || phase != 0) rotate(target, target, part, phase, step);
                for (size_t i = 0; i < part; i++) out[done + i] += target[i];
            }
        }
        if (step != 0) {
            phase += turns(map, reception, part);
            phase -= std::floor(phase);
        }
        done += part;
    }
}

} // namespace zmqradio
