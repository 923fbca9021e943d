//! Linear terms of a form: `coef · Σ_sums source[map(e, sums)]`.

use super::{parallel, read::Layout};
use crate::{
    contraction::Axis,
    graph::{Form, Term},
    integers::IntegerSlice,
    with_integer_slice,
};

/// Adds `term` to the elements of its form. Elements that differ only in axes which the term does not read share one sum.
pub(crate) fn add_term(form: &Form, term: &Term, values: IntegerSlice<'_>, out: &mut [i64]) {
    let sizes: Vec<u32> = form.shape.iter().chain(&term.sums).copied().collect();
    let axes: Vec<Axis> = (0_u8..).zip(&sizes).map(|(id, size)| Axis { id, size: *size }).collect();
    let (own, sums) = axes.split_at(form.shape.len());
    let own: Vec<Axis> = own.iter().filter(|a| a.size != 1).copied().collect();
    let read: Vec<Axis> = own.iter().filter(|a| term.map.uses(a.id.into())).copied().collect();
    let layout = Layout::new(&term.map, &sizes, values.len());
    let (at, within) = (layout.offsets(&read), layout.offsets(sums));
    let mut totals = vec![0_i64; at.len()];
    match layout.own_place() {
        Some((start, len)) => {
            with_integer_slice!(values.slice(start..start + len), values => add_up(values, &at, &within, &mut totals));
        }
        None => add_up(&layout.data(values, |v| v), &at, &within, &mut totals),
    }
    let add = |out: &mut i64, total: i64| *out = out.wrapping_add(term.coef.wrapping_mul(total));
    let Some((last, outer)) = own.split_last() else {
        out.iter_mut().zip(&totals).for_each(|(out, total)| add(out, *total));
        return;
    };
    let spread = Layout::matrix(&read, sizes.len());
    let is_read = read.last() == Some(last);
    for (at, out) in spread.offsets(outer).into_iter().zip(out.chunks_exact_mut(last.size as usize)) {
        let totals = &totals[at as usize..];
        if is_read {
            out.iter_mut().zip(totals).for_each(|(out, total)| add(out, *total));
        } else {
            out.iter_mut().for_each(|out| add(out, totals[0]));
        }
    }
}

/// `totals[e] = Σ_i data[at[e] + within[i]]`.
fn add_up<T: Copy + Into<i64> + Sync>(data: &[T], at: &[u32], within: &[u32], totals: &mut [i64]) {
    const CHUNK: usize = 1 << 10;
    parallel::for_each_chunk(totals, CHUNK, within.len(), |chunk, totals| {
        for (total, at) in totals.iter_mut().zip(&at[chunk * CHUNK..]) {
            let data = &data[*at as usize..];
            *total = within.iter().fold(0, |sum: i64, i| sum.wrapping_add(data[*i as usize].into()));
        }
    });
}
