// ZMQ's C interface with owners.
#pragma once

#include <string>
#include <vector>

namespace zmqradio {

class Context {
public:
    Context();
    ~Context();
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;
    void *const handle;
};

class Socket {
public:
    // Receivers bind, transmitters connect. Throws std::runtime_error that names the endpoint.
    static Socket pull(Context &context, const std::string &endpoint);
    static Socket push(Context &context, const std::string &endpoint);
    Socket(Socket &&other) noexcept : handle(other.handle) { other.handle = nullptr; }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;
    ~Socket();
    void *handle;

private:
    Socket(Context &context, int type, const std::string &endpoint);
};

// "a;b" to {a, b}; "none" and "" to nothing. Throws where one is no endpoint.
std::vector<std::string> endpoints(const std::string &key, const std::string &list);

} // namespace zmqradio
