// AdamW and the moving average of the parameters over flat buffers (AD.12),
// (AD.13).
//
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
//   theta <- (1 - eta lambda) theta - rate m / (sqrt v + eps')
//   mean  <- d mean + (1 - d) theta
//
// with the corrections of the bias folded into rate and eps', as in
// `autograd/src/optimiser/adam.rs`. All arrays are [n], one thread an element;
// 16 operations for each.
//
//   version    launches   bytes read   written
//   composed   3          32           16        moments, parameters, average: what
//                                                one has written the next one reads
//   fused      1          20           16        what was computed stays in registers
//
// Both have the same bits, since every operation is rounded in either.
//
// What changes from step to step lies in device memory, so that the step can
// be recorded in a graph: `adamw_advance`, one thread, makes the constants of
// the next step from the number of steps before it, and takes the learning rate
// of that step from a list. A loss that is no number ends the training: from
// then on nothing changes, and `steps` says how many were taken.

struct AdamwState {
    double beta1, beta2, epsilon, decay_weight, decay_mean;
    double learning_rate;
    unsigned long long steps;
    // The list of rates begins with the rate of step `first`; beyond its end
    // the last one stays.
    unsigned long long first, rates;
    unsigned long long halted;
    // The constants of the current step.
    float one_beta1, one_beta2, rate, root_epsilon, keep, mean_keep, mean_take, unused;
};

extern "C" __global__ void adamw_advance(AdamwState* s, const double* rates, const float* loss) {
    // The difference of a number and itself is 0, of anything else NaN.
    if (*loss - *loss != 0.0f) s->halted = 1;
    if (s->halted) return;
    s->steps += 1;
    unsigned long long place = s->steps - s->first;
    s->learning_rate = rates[place < s->rates ? place : s->rates - 1];
    double n = (double)s->steps;
    double correction1 = 1.0 - pow(s->beta1, n);
    double root2 = sqrt(1.0 - pow(s->beta2, n));
    s->one_beta1 = (float)s->beta1;
    s->one_beta2 = (float)s->beta2;
    s->rate = (float)(s->learning_rate * root2 / correction1);
    s->root_epsilon = (float)(s->epsilon * root2);
    s->keep = (float)(1.0 - s->learning_rate * s->decay_weight);
    double warm = (1.0 + n) / (10.0 + n);
    double d = s->decay_mean < warm ? s->decay_mean : warm;
    s->mean_keep = (float)d;
    s->mean_take = (float)(1.0 - d);
}

extern "C" __global__ void adamw(float* theta, float* mean, float* m, float* v, const float* g,
                                 const AdamwState* s, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || s->halted) return;
    float b1 = s->one_beta1, b2 = s->one_beta2;
    float first = b1 * m[i] + (1.0f - b1) * g[i];
    float second = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
    float next = s->keep * theta[i] - s->rate * first / (sqrtf(second) + s->root_epsilon);
    m[i] = first;
    v[i] = second;
    theta[i] = next;
    mean[i] = s->mean_keep * mean[i] + s->mean_take * next;
}

// The same in three passes: a line of the head each, and the moments together.
extern "C" __global__ void adamw_moments(float* m, float* v, const float* g, const AdamwState* s,
                                         unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || s->halted) return;
    float b1 = s->one_beta1, b2 = s->one_beta2;
    m[i] = b1 * m[i] + (1.0f - b1) * g[i];
    v[i] = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
}

extern "C" __global__ void adamw_move(float* theta, const float* m, const float* v,
                                      const AdamwState* s, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || s->halted) return;
    theta[i] = s->keep * theta[i] - s->rate * m[i] / (sqrtf(v[i]) + s->root_epsilon);
}

extern "C" __global__ void adamw_average(float* mean, const float* theta, const AdamwState* s,
                                         unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && !s->halted) mean[i] = s->mean_keep * mean[i] + s->mean_take * theta[i];
}
