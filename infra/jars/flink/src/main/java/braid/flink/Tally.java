package braid.flink;

import java.util.Arrays;

/** How often each value occurred: values in their order, frequencies beside them. */
final class Tally {
    String[] values;
    long[] counts;

    Tally(String[] values, long[] counts) {
        this.values = values;
        this.counts = counts;
    }

    void add(String value) {
        int place = Arrays.binarySearch(values, value, Placed::compare);
        if (place >= 0) {
            counts[place]++;
            return;
        }
        place = -place - 1;
        values = Arrays.copyOf(values, values.length + 1);
        counts = Arrays.copyOf(counts, values.length);
        System.arraycopy(values, place, values, place + 1, values.length - place - 1);
        System.arraycopy(counts, place, counts, place + 1, values.length - place - 1);
        values[place] = value;
        counts[place] = 1;
    }

    /** The k most frequent values, most frequent first; of equally frequent ones the smaller first. */
    String[] top(int k) {
        int[] best = new int[Math.min(k, values.length)];
        int found = 0;
        for (int at = 0; at < values.length; at++) {
            int place = found;
            while (place > 0 && counts[best[place - 1]] < counts[at]) {
                place--;
            }
            if (place < best.length) {
                int last = Math.min(found, best.length - 1);
                System.arraycopy(best, place, best, place + 1, last - place);
                best[place] = at;
                found = Math.min(found + 1, best.length);
            }
        }
        return Arrays.stream(best).mapToObj(at -> values[at]).toArray(String[]::new);
    }

    long most() {
        return Arrays.stream(counts).max().orElse(0);
    }

    Tally copy() {
        return new Tally(values.clone(), counts.clone());
    }
}
