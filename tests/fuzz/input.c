/* SPDX-License-Identifier: MIT */
/* The fuzzer's input, as a stream of decisions. */
#include "fuzz.h"

static struct {
	const uint8_t *data;
	size_t size, at;
} input;

void fuzz_input_set(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	input.at = 0;
}

bool fuzz_input_left(void)
{
	return input.at < input.size;
}

uint8_t fuzz_u8(void)
{
	return input.at < input.size ? input.data[input.at++] : 0;
}

uint16_t fuzz_u16(void)
{
	uint16_t low = fuzz_u8();

	return (uint16_t)(low | fuzz_u8() << 8);
}

uint32_t fuzz_u32(void)
{
	uint32_t low = fuzz_u16();

	return low | (uint32_t)fuzz_u16() << 16;
}

uint64_t fuzz_u64(void)
{
	uint64_t low = fuzz_u32();

	return low | (uint64_t)fuzz_u32() << 32;
}
