// A client of rigpose's keypoint stream (docs/protocol.md); prints a line of JSON for each message.
//   g++ -O2 -std=c++17 stream_client.cpp -lzmq -o stream_client
//   ./stream_client tcp://127.0.0.1:5555 [SERVER_PUBLIC_KEY OWN_PUBLIC_KEY OWN_SECRET_KEY]
#include <zmq.h>
#include <cmath>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <vector>

struct Value { std::string json; uint64_t integer = 0; std::vector<Value> items = {}; };
std::string real(double number) {  // JSON knows neither NaN nor infinity
    char out[32];
    return std::isfinite(number) && snprintf(out, 32, "%.17g", number) ? out : "null";
}

struct MessagePack {  // as far as the stream uses it
    const std::string &bytes;
    size_t at = 0;
    std::string take(uint64_t size) {
        if (bytes.size() - at < size) throw std::runtime_error("cut off");
        return bytes.substr((at += size) - size, size);
    }
    uint64_t number(int size) {
        uint64_t value = 0;
        for (unsigned char byte : take(size)) value = value << 8 | byte;
        return value;
    }
    Value text(uint64_t size) { std::ostringstream out; out << std::quoted(take(size)); return {out.str()}; }
    Value several(uint64_t count, bool map, int depth) {
        Value all{map ? "{" : "["};
        while (all.items.size() < count) {
            all.json += all.items.empty() ? "" : ",";
            all.items.push_back(value(depth + 1));
            all.json += all.items.back().json + (map ? ":" + value(depth + 1).json : "");
        }
        return all.json += map ? "}" : "]", all;
    }
    Value value(int depth = 0) {
        if (depth > 16) throw std::runtime_error("nested too deeply");
        uint64_t kind = number(1), bits;
        if (kind < 0x80) return {std::to_string(kind), kind};
        if (kind < 0xa0) return several(kind & 15, kind < 0x90, depth);
        if (kind < 0xc0) return text(kind & 31);
        if (kind >= 0xe0) return {std::to_string(int(kind) - 256)};
        if (kind == 0xcb) { bits = number(8); double wide; memcpy(&wide, &bits, 8); return {real(wide)}; }
        if (kind >= 0xcc && kind <= 0xcf) { bits = number(1 << (kind & 3)); return {std::to_string(bits), bits}; }
        if (kind >= 0xd0 && kind <= 0xd3) {
            int size = 1 << (kind & 3), unused = 64 - 8 * size;
            return {std::to_string(int64_t(number(size) << unused) >> unused)};
        }
        if (kind >= 0xd9 && kind <= 0xdb) return text(number(1 << (kind - 0xd9)));
        if (kind >= 0xdc) return several(number(kind & 1 ? 4 : 2), kind > 0xdd, depth);
        throw std::runtime_error("MessagePack that is not used here");
    }
};

std::string decoded(const std::string &topic, const std::string &header_bytes, const std::string &payload) {
    Value header = MessagePack{header_bytes}.value();
    if (header.items.size() < 13 || header.items[0].integer != 1) throw std::runtime_error("not version 1");
    std::string values;
    if (header.items[12].json == "\"<f4\"") {  // little-endian, as is every machine that this will run on
        size_t size = 4;
        for (const Value &length : header.items[11].items) size *= length.integer;
        if (size != payload.size()) throw std::runtime_error("payload does not fit its shape");
        for (size_t at = 0; at < size; at += 4) {
            float number;
            memcpy(&number, &payload[at], 4);
            values += (at ? "," : "[") + real(number);
        }
        values += ']';
    } else if (header.items[12].json == "\"msgpack\"") {
        values = MessagePack{payload}.value().json;
    } else throw std::runtime_error("unknown payload");
    return "{\"topic\":\"" + topic + "\",\"header\":" + header.json + ",\"payload\":" + values + "}";
}
int main(int argc, char **argv) {
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5555";
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_SUB);
    const int keys[] = {ZMQ_CURVE_SERVERKEY, ZMQ_CURVE_PUBLICKEY, ZMQ_CURVE_SECRETKEY};
    for (int i = 2; i < argc && i < 5; ++i) zmq_setsockopt(socket, keys[i - 2], argv[i], 41);
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);  // or a topic
    if (zmq_connect(socket, endpoint)) return perror(endpoint), 2;
    while (true) try {
        std::vector<std::string> frames;
        for (int more = 1; more;) {
            zmq_msg_t part;
            zmq_msg_init(&part);
            if (zmq_msg_recv(&part, socket, 0) < 0) return perror(endpoint), 1;
            frames.emplace_back(static_cast<char *>(zmq_msg_data(&part)), zmq_msg_size(&part));
            more = zmq_msg_more(&part);
            zmq_msg_close(&part);
        }
        if (frames.size() != 3) throw std::runtime_error("not three frames");
        std::cout << decoded(frames[0], frames[1], frames[2]) << std::endl;
    } catch (const std::exception &error) { std::cout << "refused: " << error.what() << std::endl; }
}
