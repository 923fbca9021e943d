//! A million random and changed inputs for every decoder: no panic, and no allocation above 64 MiB.

use clap::Parser;
use peak_alloc::PeakAlloc;
use std::{
    panic::{catch_unwind, AssertUnwindSafe},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use zkonnx_tests::hostile::{decoders, verify_changed, Mutator, MAX_ALLOCATION};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[derive(Parser)]
struct Options {
    /// Inputs per decoder.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: usize,
    /// Seed of the inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only write the valid inputs, where fuzzing starts, to folders of this one.
    #[arg(long)]
    write_seeds: Option<PathBuf>,
    /// One decoder only.
    #[arg(long)]
    decoder: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(folder) = options.write_seeds {
        for decoder in decoders() {
            let folder = folder.join(decoder.name);
            std::fs::create_dir_all(&folder).expect("a folder");
            for (i, seed) in decoder.seeds.iter().enumerate() {
                std::fs::write(folder.join(format!("seed{i}")), seed).expect("a file");
            }
        }
        return ExitCode::SUCCESS;
    }
    println!("decoder       inputs     accepted   seconds   slowest    peak memory");
    for decoder in decoders() {
        if options.decoder.as_ref().is_some_and(|name| name != decoder.name) {
            continue;
        }
        let mut mutator = Mutator::new(options.seed);
        let (mut accepted, mut peak, mut slowest) = (0_usize, 0, Duration::ZERO);
        let start = Instant::now();
        for _ in 0..options.inputs {
            let input = mutator.next(&decoder.seeds);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let one = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| (decoder.decode)(&input)));
            slowest = slowest.max(one.elapsed());
            let used = MEMORY.peak_usage().saturating_sub(before);
            peak = peak.max(used);
            match result {
                Ok(ok) if used <= MAX_ALLOCATION => accepted += usize::from(ok),
                other => {
                    let what = if other.is_err() { "panicked".to_owned() } else { format!("took {used} bytes") };
                    eprintln!("{} {what} on {input:02x?}", decoder.name);
                    return ExitCode::FAILURE;
                }
            }
        }
        println!(
            "{:<12} {:>8} {accepted:>11} {:>9.1} {:>9.3} s {:>9} KiB",
            decoder.name,
            options.inputs,
            start.elapsed().as_secs_f64(),
            slowest.as_secs_f64(),
            peak >> 10
        );
    }
    // Verifying takes milliseconds: fewer, but no input is only decoded.
    let (mut mutator, start) = (Mutator::new(options.seed), Instant::now());
    let changed = options.inputs / 100;
    for _ in 0..changed {
        let length = 12 * (1 + mutator.below(3));
        verify_changed(&mutator.random(length));
    }
    println!("verify       {changed:>8}           0 {:>9.1}", start.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}
