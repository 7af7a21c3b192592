// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/sha256.hpp"

#include "suites/temp_folder.hpp"
#include "ktstr/sys/publish.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

TEST_CASE("sha256: the examples of FIPS 180-4 and the padding's edges") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256_hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256: the same bytes in any pieces, and from a file") {
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += static_cast<char>('a' + i % 23);
    for (std::size_t n = 0; n < 200; ++n) {
        auto const whole = sha256_hex(std::string_view(text).substr(0, n));
        for (std::size_t cut : {std::size_t{0}, n / 3, n}) {
            sha256 hash;
            hash.update(std::string_view(text).substr(0, cut));
            hash.update(std::string_view(text).substr(cut, n - cut));
            CHECK(to_hex(hash.finish()) == whole);
        }
    }
    temp_folder folder;
    REQUIRE(publish(folder.at("big"), std::string(600000, 'x')));
    CHECK(sha256_file(folder.at("big").c_str()) == sha256_hex(std::string(600000, 'x')));
    CHECK(sha256_file(folder.at("absent").c_str()).error().code == errc::not_found);
}
