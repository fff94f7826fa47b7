// Every camera of a frame set in one launch: one thread a network pixel, one layer of blocks a camera.
#include "preprocess.h"

extern "C" __global__ void preprocess(const rigpose::Crop* crops, const unsigned char* staging,
                                      unsigned char* images, int width, int height) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
  if (column >= width || row >= height) return;
  const long long pixel = (static_cast<long long>(blockIdx.z) * height + row) * width + column;
  rigpose::sample(crops[blockIdx.z], staging, column, row, images + 3 * pixel);
}
