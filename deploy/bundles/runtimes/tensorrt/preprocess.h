// deploy/preprocess.py in whole numbers, for the GPU and for the test that compares the two on a CPU.
//
// Positions are fixed-point, 32 bits behind the point, and weights have 11 bits: nothing here is rounded
// differently by another compiler or processor. Against real numbers a sample is off by less than half a
// level before it is rounded, so by one level at most after.
#pragma once

#ifdef __CUDACC__
#define RIGPOSE_BOTH __host__ __device__ inline
#else
#define RIGPOSE_BOTH inline
#endif

namespace rigpose {

constexpr int kPadLevel = 128;  // deploy.preprocess.PAD_LEVEL
constexpr int kPositionBits = 32;
constexpr int kWeightBits = 11;
constexpr int kOne = 1 << kWeightBits;

// One camera of a frame set; the NumPy twin is CROP in preprocess.py.
struct Crop {
  long long image;              // where its image begins in the staging buffer, bytes
  long long x, x_column, x_row;  // position in the image of network pixel (column, row), 1 / 2^32 px:
  long long y, y_column, y_row;  // x + column * x_column + row * x_row
  int left, top, right, bottom;  // network pixels that show the image; all others are kPadLevel
  int first_x, first_y, last_x, last_y;  // pixels of the image that may be sampled
  int row_bytes;
  int channels;  // 1 or 3; 0: no image
  int padded;    // 1: beyond the pixels that may be sampled lies kPadLevel; 0: the nearest of them
  int unused;
};
static_assert(sizeof(Crop) == 104, "the NumPy twin has 104 bytes");

RIGPOSE_BOTH int nearest(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

RIGPOSE_BOTH int level(const Crop& crop, const unsigned char* image, int x, int y, int channel) {
  const int near_x = nearest(x, crop.first_x, crop.last_x), near_y = nearest(y, crop.first_y, crop.last_y);
  if (crop.padded && (near_x != x || near_y != y)) return kPadLevel;
  return image[static_cast<long long>(near_y) * crop.row_bytes + near_x * crop.channels + channel];
}

RIGPOSE_BOTH int weight(long long position) {
  const long long below = position & ((1LL << kPositionBits) - 1);
  return static_cast<int>((below + (1LL << (kPositionBits - kWeightBits - 1))) >> (kPositionBits - kWeightBits));
}

// Network pixel (column, row) of one camera, RGB.
RIGPOSE_BOTH void sample(const Crop& crop, const unsigned char* staging, int column, int row,
                         unsigned char* rgb) {
  const bool shows = column >= crop.left && column < crop.right && row >= crop.top && row < crop.bottom;
  if (!shows || !crop.channels) {
    rgb[0] = rgb[1] = rgb[2] = crop.channels ? kPadLevel : 0;
    return;
  }
  const long long at_x = crop.x + column * crop.x_column + row * crop.x_row;
  const long long at_y = crop.y + column * crop.y_column + row * crop.y_row;
  const int x = static_cast<int>(at_x >> kPositionBits), y = static_cast<int>(at_y >> kPositionBits);
  const int right = weight(at_x), below = weight(at_y);
  const unsigned char* image = staging + crop.image;
  for (int channel = 0; channel < crop.channels; ++channel) {
    const int upper = level(crop, image, x, y, channel) * (kOne - right) + level(crop, image, x + 1, y, channel) * right;
    const int lower =
        level(crop, image, x, y + 1, channel) * (kOne - right) + level(crop, image, x + 1, y + 1, channel) * right;
    rgb[channel] = (upper * (kOne - below) + lower * below + (1 << (2 * kWeightBits - 1))) >> (2 * kWeightBits);
  }
  if (crop.channels == 1) rgb[1] = rgb[2] = rgb[0];
}

}  // namespace rigpose
