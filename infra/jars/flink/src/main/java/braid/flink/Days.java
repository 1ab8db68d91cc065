package braid.flink;

import java.util.Arrays;

/** Sums by UTC day, newest day first. */
final class Days {
    long[] days;
    long[] sums;

    Days(long[] days, long[] sums) {
        this.days = days;
        this.sums = sums;
    }

    void add(long day, long n) {
        int place = 0;
        while (place < days.length && days[place] > day) {
            place++;
        }
        if (place == days.length || days[place] != day) {
            days = inserted(days, place, day);
            sums = inserted(sums, place, 0);
        }
        sums[place] += n;
    }

    /** Forgets days of {@code oldest} and before: time goes on only, so they never count again. */
    void forget(long oldest) {
        int kept = days.length;
        while (kept > 0 && days[kept - 1] <= oldest) {
            kept--;
        }
        if (kept < days.length) {
            days = Arrays.copyOf(days, kept);
            sums = Arrays.copyOf(sums, kept);
        }
    }

    Days copy() {
        return new Days(days.clone(), sums.clone());
    }

    private static long[] inserted(long[] numbers, int place, long number) {
        long[] more = Arrays.copyOf(numbers, numbers.length + 1);
        System.arraycopy(numbers, place, more, place + 1, numbers.length - place);
        more[place] = number;
        return more;
    }
}
