// The device as SoapySDR sees it: device.cpp has its streams and time, controls.cpp what can be set and read.
#pragma once

#include "receiver.hpp"
#include "transmitter.hpp"

#include <SoapySDR/Device.hpp>

#include <memory>

namespace zmqradio {

constexpr const char *kDefaultEndpoint = "tcp://127.0.0.1:5740";
constexpr double kMinRate = 1e4, kMaxRate = 1e8, kMinFrequency = 1e6, kMaxFrequency = 6e9;

// Device arguments that are no settings.
bool isDeviceArgument(const std::string &key);

class ZmqDevice : public SoapySDR::Device {
public:
    explicit ZmqDevice(const SoapySDR::Kwargs &args);
    ~ZmqDevice() override;

    std::string getDriverKey() const override { return "zmq"; }
    std::string getHardwareKey() const override { return "virtual"; }
    SoapySDR::Kwargs getHardwareInfo() const override;
    size_t getNumChannels(int direction) const override;
    SoapySDR::Kwargs getChannelInfo(int direction, size_t channel) const override;
    bool getFullDuplex(int, size_t) const override { return true; }

    // Streams
    std::vector<std::string> getStreamFormats(int direction, size_t channel) const override;
    std::string getNativeStreamFormat(int direction, size_t channel, double &fullScale) const override;
    SoapySDR::Stream *setupStream(int direction, const std::string &format, const std::vector<size_t> &channels,
                                  const SoapySDR::Kwargs &args) override;
    void closeStream(SoapySDR::Stream *stream) override;
    size_t getStreamMTU(SoapySDR::Stream *stream) const override;
    int activateStream(SoapySDR::Stream *stream, int flags, long long timeNs, size_t numElems) override;
    int deactivateStream(SoapySDR::Stream *stream, int flags, long long timeNs) override;
    int readStream(SoapySDR::Stream *stream, void *const *buffs, size_t numElems, int &flags, long long &timeNs, long timeoutUs) override;
    int writeStream(SoapySDR::Stream *stream, const void *const *buffs, size_t numElems, int &flags, long long timeNs,
                    long timeoutUs) override;
    int readStreamStatus(SoapySDR::Stream *stream, size_t &chanMask, int &flags, long long &timeNs, long timeoutUs) override;

    // Time
    bool hasHardwareTime(const std::string &what) const override;
    long long getHardwareTime(const std::string &what) const override;
    void setHardwareTime(long long timeNs, const std::string &what) override;
    std::vector<std::string> listClockSources() const override { return {"internal"}; }
    std::string getClockSource() const override { return "internal"; }
    void setClockSource(const std::string &source) override;
    std::vector<std::string> listTimeSources() const override { return {"none"}; }
    std::string getTimeSource() const override { return "none"; }
    void setTimeSource(const std::string &source) override;

    // Front end
    std::vector<std::string> listAntennas(int direction, size_t channel) const override;
    void setAntenna(int direction, size_t channel, const std::string &name) override;
    std::string getAntenna(int direction, size_t channel) const override;
    bool hasDCOffsetMode(int direction, size_t channel) const override;
    void setDCOffsetMode(int direction, size_t channel, bool automatic) override;
    bool getDCOffsetMode(int direction, size_t channel) const override;
    bool hasDCOffset(int direction, size_t channel) const override;
    void setDCOffset(int direction, size_t channel, const std::complex<double> &offset) override;
    std::complex<double> getDCOffset(int direction, size_t channel) const override;
    bool hasFrequencyCorrection(int direction, size_t channel) const override;
    void setFrequencyCorrection(int direction, size_t channel, double ppm) override;
    double getFrequencyCorrection(int direction, size_t channel) const override;
    std::vector<std::string> listGains(int direction, size_t channel) const override;
    bool hasGainMode(int direction, size_t channel) const override;
    void setGainMode(int direction, size_t channel, bool automatic) override;
    bool getGainMode(int direction, size_t channel) const override;
    using SoapySDR::Device::setGain;
    using SoapySDR::Device::getGain;
    using SoapySDR::Device::getGainRange;
    void setGain(int direction, size_t channel, const std::string &name, double value) override;
    double getGain(int direction, size_t channel, const std::string &name) const override;
    SoapySDR::Range getGainRange(int direction, size_t channel, const std::string &name) const override;
    using SoapySDR::Device::setFrequency;
    using SoapySDR::Device::getFrequency;
    void setFrequency(int direction, size_t channel, const std::string &name, double frequency, const SoapySDR::Kwargs &args) override;
    double getFrequency(int direction, size_t channel, const std::string &name) const override;
    std::vector<std::string> listFrequencies(int direction, size_t channel) const override;
    SoapySDR::RangeList getFrequencyRange(int direction, size_t channel) const override;
    SoapySDR::RangeList getFrequencyRange(int direction, size_t channel, const std::string &name) const override;
    void setSampleRate(int direction, size_t channel, double rate) override;
    double getSampleRate(int direction, size_t channel) const override;
    SoapySDR::RangeList getSampleRateRange(int direction, size_t channel) const override;
    void setBandwidth(int direction, size_t channel, double bandwidth) override;
    double getBandwidth(int direction, size_t channel) const override;
    SoapySDR::RangeList getBandwidthRange(int direction, size_t channel) const override;

    // Settings, sensors
    SoapySDR::ArgInfoList getSettingInfo() const override { return Settings::info(); }
    void writeSetting(const std::string &key, const std::string &value) override;
    std::string readSetting(const std::string &key) const override { return settings.read(key); }
    SoapySDR::ArgInfoList getSettingInfo(int, size_t) const override { return Settings::info(); }
    void writeSetting(int direction, size_t channel, const std::string &key, const std::string &value) override;
    std::string readSetting(int direction, size_t channel, const std::string &key) const override;
    std::vector<std::string> listSensors() const override;
    SoapySDR::ArgInfo getSensorInfo(const std::string &key) const override;
    std::string readSensor(const std::string &key) const override;
    std::vector<std::string> listSensors(int direction, size_t channel) const override;
    SoapySDR::ArgInfo getSensorInfo(int direction, size_t channel, const std::string &key) const override;
    std::string readSensor(int direction, size_t channel, const std::string &key) const override;

private:
    void check(int direction, size_t channel) const;
    void applyPpm();
    SoapySDR::Stream *handle(int direction) { return reinterpret_cast<SoapySDR::Stream *>(&handles[direction]); }
    bool isRx(SoapySDR::Stream *stream) const;

    const SoapySDR::Kwargs args;
    ReceiverOptions receiverOptions;
    TransmitterOptions transmitterOptions;
    bool hasReceiver = true;
    Settings settings;
    std::unique_ptr<Timebase> timebase;
    Context context;
    std::atomic<long long> timeOffset{0};
    char handles[2] = {};
    mutable std::mutex streamsMutex; // making and ending streams, and looking at them from elsewhere
    std::unique_ptr<Receiver> receiver;
    std::unique_ptr<Transmitter> transmitter;
};

} // namespace zmqradio
