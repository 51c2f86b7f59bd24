// What a device is set to. Numbers under one lock; streams take a copy of all of them at a time.
#pragma once

#include <SoapySDR/Types.hpp>

#include <atomic>
#include <complex>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>

namespace zmqradio {

struct Params {
    double ppm = 0, correction = 0;
    double noiseFloor = -100, adcNoise = -90; // [dBFS]
    double pathLoss = 60;                     // [dB]
    double delayNs = 0;
    double dcI = 0, dcQ = 0;
    double iqGainDb = 0, iqPhaseDeg = 0;
    double agcStuck = 0, swapIq = 0;
    uint64_t seed = 0;
    double lna = 15, vga = 15, pga = 15, pa = 15; // [dB]
    double rate[2] = {1e6, 1e6};                  // index: SOAPY_SDR_TX, SOAPY_SDR_RX
    double rf[2] = {1e9, 1e9}, bb[2] = {0, 0};
    double bandwidth[2] = {0, 0}; // 0: that of the rate
    bool agc = false, dcAutomatic = false;
    std::complex<double> dcCorrection = 0;
};

class Settings {
public:
    Params get() const
    {
        std::lock_guard<std::mutex> lock(mutex);
        return params;
    }
    template <typename Change> void set(Change change)
    {
        std::lock_guard<std::mutex> lock(mutex);
        change(params);
    }

    // By name, as writeSetting does. Throws std::invalid_argument that names the setting, its limits and the value.
    void write(const std::string &key, const std::string &value);
    std::string read(const std::string &key) const;
    static SoapySDR::ArgInfoList info();
    static bool has(const std::string &key);

    // Faults that wait for their stream.
    std::atomic<int64_t> overflow{0}, drop{0}, underflow{0};

private:
    mutable std::mutex mutex;
    Params params;
};

// Text to a number within limits; throws std::invalid_argument.
double number(const std::string &key, const std::string &text, double low, double high);
std::string text(double value);

} // namespace zmqradio
