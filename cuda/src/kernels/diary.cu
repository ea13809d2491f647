// A diary: one number a step, kept on the device until somebody asks.
//
//   ring[count mod capacity] <- x,   count <- count + 1
//
// One thread, 4 bytes read and 8 written. The count lies in device memory
// behind the ring, so that a recorded graph writes to a new place at each
// replay.

extern "C" __global__ void diary_note(unsigned* ring, const float* x, unsigned capacity) {
    unsigned count = ring[capacity];
    ring[count % capacity] = __float_as_uint(*x);
    ring[capacity] = count + 1;
}
