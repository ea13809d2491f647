//! The bits of the `f32` functions are a promise: they are made of IEEE
//! additions, products, quotients, roots and operations on bits, and of
//! nothing that an instruction set may do in its own way; where they go through
//! `f64`, what a system's library may do differently is rounded away. So a digest of many values and slopes, taken once, must come out on
//! every machine, and a change of a coefficient in its last places is seen.
//!
//! `UPDATE_GOLDEN=1 cargo test -p flowgrad-autograd --test golden_bits` writes
//! the file anew; whoever does it changes numbers that users may have stored.

use autograd::{Binary, Cpu, Draw, Philox, Tensor, Unary, Var, vjp};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

type Single = Tensor<Cpu<f32>>;
type Variable = Tensor<Var<Cpu<f32>>>;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_bits.txt");

/// FNV-1a of the bits of numbers.
fn digest(numbers: &[f32]) -> u64 {
    let bytes = numbers.iter().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Both signs, from 10⁻¹⁸ to 10¹⁸ and below the normal numbers, most of them
/// near 1, and none of them chosen by a rounded operation: bit patterns in
/// steps of prime numbers.
fn points() -> Single {
    let far = (0x2200_0000..0x5d00_0000u32).step_by(262_139);
    // From 2⁻⁷ to 2⁷, and again from 1/8 to 8, where polynomials work hardest.
    let near = (0x3c00_0000..0x4300_0000u32).step_by(8_191);
    let nearest = (0x3e00_0000..0x4100_0000u32).step_by(1_021);
    let subnormal = (0..0x0080_0000u32).step_by(8_191);
    let mut points = Vec::new();
    for bits in far.chain(near).chain(nearest).chain(subnormal) {
        let x = f32::from_bits(bits);
        points.extend([x, -x]);
    }
    Single::new(&[points.len()], points)
}

/// A line for each function: digests of its values and of its slopes. NaN has
/// more than one pattern of bits, so it is left out.
fn lines() -> String {
    let x = points();
    let ones = x.ones_like();
    let finite = |numbers: &Single| -> u64 {
        let numbers = numbers.as_slice().iter().copied();
        digest(&numbers.filter(|x| !x.is_nan()).collect::<Vec<_>>())
    };
    let mut text = String::new();
    let mut line = |name: &str, y: &Single, slopes: &[Single]| {
        write!(text, "{name} {:016x}", finite(y)).expect("a string grows");
        for slope in slopes {
            write!(text, " {:016x}", finite(slope)).expect("a string grows");
        }
        text.push('\n');
    };
    for &op in Unary::ALL {
        let of = |x: &Variable| 1.0 * x.unary(op);
        let (y, slope) = autograd::vjp_partial(of, &x, &ones);
        line(op.name(), &y, &[slope]);
    }
    // Pairs of numbers of every size.
    let both = (x.clone(), x.roll(0, 1001).abs());
    for &op in Binary::ALL {
        let (y, slopes) = vjp(
            |(a, b): &(Variable, Variable)| a.binary(op, b),
            &both,
            &ones,
        );
        line(op.name(), &y, &[slopes.0, slopes.1]);
    }
    // Random numbers, from the beginning and from the middle of a block.
    for (name, draw) in [
        ("uniform", Philox::uniform_f32 as fn(Draw, u64, &mut [f32])),
        ("normal", Philox::normal_f32),
    ] {
        let mut numbers = vec![0.0; 100_003];
        draw(Draw::seed(17).stream(3), 2, &mut numbers);
        line(name, &Single::new(&[100_003], numbers), &[]);
    }
    text
}

#[test]
fn the_bits_are_those_that_were_promised() {
    let found = lines();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(Path::new(FILE), &found).expect("the file is written");
        return;
    }
    let golden = fs::read_to_string(Path::new(FILE)).expect("the file is there");
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

/// The wrong twin: one bit of one number.
#[test]
fn a_changed_bit_changes_the_digest() {
    let x = points().to_vec();
    let mut y = x.clone();
    y[17] = f32::from_bits(y[17].to_bits() ^ 1);
    assert_ne!(digest(&x), digest(&y));
    assert_eq!(digest(&[]), 0xcbf2_9ce4_8422_2325);
}
