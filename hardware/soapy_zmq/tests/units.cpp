// Parts on their own: the clock, the interpolator, the noise, a transmitter's samples. Exits with the number of failures.
#include "clock.hpp"
#include "noise.hpp"
#include "settings.hpp"
#include "socket.hpp"
#include "source.hpp"

#include <cmath>
#include <cstdio>
#include <functional>
#include <stdexcept>

using namespace zmqradio;

namespace {

int failures = 0;

void check(bool good, const char *what, double value)
{
    std::printf("%s  %-78s %.6g\n", good ? "ok  " : "FAIL", what, value);
    failures += !good;
}

bool throws(const std::function<void()> &action)
{
    try {
        action();
    } catch (const std::exception &) {
        return true;
    }
    return false;
}

void oscillator()
{
    Timebase base(0, 0);
    const Epoch first = base.at(0);
    base.setPpm(100);
    base.setPpm(-50);
    const Epoch last = base.at(Real(1e18L));
    check(last.ratio == 1 - Real(50e-6L) || std::fabs(double(last.ratio - 1 + 50e-6L)) < 1e-18, "hardware time runs at the new speed", double(last.ratio));
    double jump = 0;
    for (Real air = first.air; air < last.air + 1e6L; air += 12345.678L) jump = std::max(jump, double(std::fabs(base.toAir(base.toHw(air)) - air)));
    check(jump < 1e-2, "air to hardware time and back [ns]", jump);
    const Epoch middle = base.at(last.hw - 1);
    check(std::fabs(double(middle.toAir(last.hw) - last.air)) < 1e-2, "no jump where the speed changes [ns]", double(middle.toAir(last.hw) - last.air));
    for (int i = 0; i < 100; i++) base.setPpm(i % 7);
    check(base.toHw(Real(base.now())) > last.hw, "a hundred changes are no more than the latest ones", 0);
}

// Largest and smallest gain over a band, largest image, for a delay that runs through all phases.
void response(double center, double width, double inside, double outside)
{
    Kernel kernel;
    kernel.design(center, width);
    double least = 1e9, most = 0, image = 0;
    const size_t count = 512, margin = 1024;
    std::vector<Sample> in(count + 2 * margin), out(count);
    const unsigned __int128 step = (static_cast<unsigned __int128>(1) << 64) + (static_cast<unsigned __int128>(1) << 55);
    for (double f = -0.5; f < 0.5; f += 1.0 / 64) {
        for (size_t i = 0; i < in.size(); i++) in[i] = Sample(std::polar(1.0, 2 * M_PI * f * double(i)));
        kernel.apply(in.data() + margin - kernel.before(), 0, step, out.data(), count);
        const double ratio = 1 + 1.0 / 512, off = std::fabs(f - center) / width;
        std::complex<double> wanted = 0;
        double rest = 0;
        for (size_t i = 0; i < count; i++) wanted += std::complex<double>(out[i]) * std::polar(1.0 / count, -2 * M_PI * f * (double(margin) + double(i) * ratio));
        for (size_t i = 0; i < count; i++)
            rest += std::norm(std::complex<double>(out[i]) - wanted * std::polar(1.0, 2 * M_PI * f * (double(margin) + double(i) * ratio))) / count;
        if (off <= inside) {
            least = std::min(least, std::abs(wanted));
            most = std::max(most, std::abs(wanted));
            image = std::max(image, std::sqrt(rest));
        } else if (off >= outside) {
            image = std::max(image, std::sqrt(std::norm(wanted) + rest));
        }
    }
    char name[100];
    std::snprintf(name, sizeof name, "band of %.3g around %.3g: ripple in its inner %.2g [dB]", width, center, 2 * inside);
    check(20 * std::log10(most / least) < 0.01 && std::fabs(most - 1) < 1e-3, name, 20 * std::log10(most / least));
    std::snprintf(name, sizeof name, "band of %.3g around %.3g: images, and what is outside [dB]", width, center);
    check(20 * std::log10(image) < -75, name, 20 * std::log10(image));
}

void noise()
{
    Noise one, other;
    std::vector<Sample> whole(100000), parts(whole.size());
    one.add(5, 1000, 2, whole.data(), whole.size());
    for (size_t at = 0; at < parts.size();) {
        const size_t count = std::min<size_t>(1 + at % 777, parts.size() - at);
        other.add(5, 1000 + at, 2, parts.data() + at, count);
        at += count;
    }
    check(whole == parts, "noise is the same however it is read", 0);
    double power = 0;
    for (const Sample &x : whole) power += std::norm(std::complex<double>(x)) / double(whole.size());
    check(std::fabs(power - 4) < 4 * 5 / std::sqrt(1e5), "its power, for an amplitude of 2", power);
}

void source()
{
    Source listening;
    WireHeader header{};
    header.stream = 1;
    header.samples = 1000;
    header.rate = 1e6;
    header.frequency = 1e9;
    std::vector<Sample> sent(1000), out(Source::kRenderBlock);
    for (size_t i = 0; i < sent.size(); i++) sent[i] = Sample(float(i) + 1, -float(i));
    listening.open(header, 0.01, 0, 0);
    listening.write(header, sent.data(), 0);
    header.index = 1500;
    header.number = 2; // number 1 was lost
    listening.write(header, sent.data(), 0);
    const Reception same{0, 1e6L, 1e9, 1e6};
    listening.render(same, out.data(), out.size());
    bool right = true;
    for (size_t i = 0; i < out.size(); i++) {
        const Sample wanted = i < 1000 ? sent[i] : i >= 1500 && i < 2500 ? sent[i - 1500] : Sample();
        right = right && out[i] == wanted;
    }
    check(right, "on one clock samples come out as they went in, silence where a packet is missing", 0);
    check(listening.lostPackets == 1, "and it is counted", double(listening.lostPackets));

    // The sample clock of the receiver changes in the middle of a tone: its phase goes on.
    Source steady;
    header = WireHeader{};
    header.stream = 2;
    header.rate = 1e6;
    header.frequency = 1e9;
    header.samples = 4096;
    steady.open(header, 0.1, 0, 0);
    std::vector<Sample> tone(4096);
    for (int p = 0; p < 8; p++) {
        for (size_t i = 0; i < tone.size(); i++) tone[i] = Sample(std::polar(1.0, 2 * M_PI * 0.01 * double(header.index + int64_t(i))));
        steady.write(header, tone.data(), 0);
        header.index += 4096;
        header.number++;
    }
    double worst = 0;
    Sample before = 0;
    Real air = 5e6L;
    for (int block = 0; block < 8; block++) {
        const Real rate = block < 4 ? 1e6L : 1e6L * (1 + 90e-6L);
        std::fill(out.begin(), out.end(), Sample());
        steady.render({air, rate, 1e9, 1e6}, out.data(), out.size());
        for (const Sample &x : out) {
            if (before != Sample()) worst = std::max(worst, std::fabs(std::arg(std::complex<double>(x) * std::conj(std::complex<double>(before))) - 2 * M_PI * 0.01));
            before = x;
        }
        air += Real(out.size()) * 1e9L / rate;
    }
    check(worst < 2e-4, "largest step of the phase beside the tone's own when the clock changes [rad]", worst);
}

void words()
{
    Settings settings;
    settings.write("ppm", "-12.5");
    check(settings.read("ppm") == "-12.5" && settings.get().ppm == -12.5, "a setting is what was written", settings.get().ppm);
    settings.write("noise_floor", "-inf");
    check(std::isinf(settings.get().noiseFloor), "noise may be left out", settings.get().noiseFloor);
    for (const char *bad : {"", "x", "1x", "nan", "inf", "1e9", " "}) check(throws([&] { settings.write("ppm", bad); }), "refused", 0);
    check(throws([&] { settings.write("seed", "-3"); }) && throws([&] { settings.write("fault_agc", "perhaps"); }), "refused", 0);
    check(endpoints("tx", "tcp://127.0.0.1:1;ipc://@a").size() == 2 && endpoints("tx", "none").empty(), "endpoints", 0);
    check(throws([] { endpoints("tx", "http://x"); }), "no endpoint", 0);
}

} // namespace

int main()
{
    oscillator();
    response(0, 1, 0.42, 0.59);
    response(0, 0.5, 0.42, 0.59);
    response(0.2, 0.4, 0.42, 0.59);
    response(-0.25, 0.25, 0.42, 0.59);
    noise();
    source();
    words();
    std::printf("%d failed\n", failures);
    return failures != 0;
}
