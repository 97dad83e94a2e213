//! Sorts the rows of a list in place and in short steps: by one octet after the other (American flag
//! sort), until what is left is few enough to be sorted in one go.
//!
//! It takes no room besides the rows, and its work is bounded whatever the serials are.

use super::table::Row;

/// Sorts by serial, then by reason; `pause` is called after every short step.
pub(super) fn sort_in_steps(rows: &mut [Row], pause: &mut dyn FnMut()) {
    let mut parts = vec![(rows, 0)];
    while let Some((rows, depth)) = parts.pop() {
        if rows.len() <= FEW || depth == Row::KEY_OCTETS {
            rows.sort_unstable();
            pause();
            continue;
        }
        let groups = count(rows, depth, pause);
        if groups.iter().filter(|group| group.next < group.end).count() > 1 {
            move_to_groups(rows, depth, groups, pause);
        }
        let mut rest = rows;
        for group in groups {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(group.end - group.next);
            rest = after;
            if part.len() > 1 {
                parts.push((part, depth + 1));
            }
        }
    }
}

/// The rows with one value of an octet: where the next one goes, and where they end.
#[derive(Clone, Copy, Default)]
struct Group {
    next: usize,
    end: usize,
}

type Groups = [Group; 256];

/// Where the rows of each value of an octet will stand.
fn count(rows: &[Row], depth: usize, pause: &mut dyn FnMut()) -> Groups {
    let mut groups = [Group::default(); 256];
    for step in rows.chunks(STEP) {
        for row in step {
            if let Some(group) = groups.get_mut(usize::from(row.key_octet(depth))) {
                group.end += 1;
            }
        }
        pause();
    }
    let mut start = 0;
    for group in &mut groups {
        group.next = start;
        start += group.end;
        group.end = start;
    }
    groups
}

/// Swaps every row to where its group is.
fn move_to_groups(rows: &mut [Row], depth: usize, mut groups: Groups, pause: &mut dyn FnMut()) {
    let mut moves = 0_usize;
    for octet in 0..groups.len() {
        while let Some(from) = groups.get(octet).filter(|group| group.next < group.end) {
            let from = from.next;
            let Some(row) = rows.get(from) else { return };
            let Some(group) = groups.get_mut(usize::from(row.key_octet(depth))) else { return };
            rows.swap(from, group.next);
            group.next += 1;
            moves += 1;
            if moves.is_multiple_of(STEP) {
                pause();
            }
        }
    }
}

/// Rows that are sorted in one go: some tens of microseconds.
const FEW: usize = 512;
/// Rows between two pauses.
const STEP: usize = 1024;
