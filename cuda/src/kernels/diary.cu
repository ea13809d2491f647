// A diary: one number a step, such as the loss (FM.21), kept on the device until
// somebody asks.
//
//   ring[count mod capacity] <- x,   count <- count + 1
//
// ring [capacity + 1], x [1]. One thread: 8 bytes read, 8 written, two
// operations. The count lies in device memory behind the ring, so that a
// recorded graph writes to a new place at each replay.

extern "C" __global__ void diary_note(unsigned* ring, const float* x, unsigned capacity) {
    unsigned count = ring[capacity];
    ring[count % capacity] = __float_as_uint(*x);
    ring[capacity] = count + 1;
}
