package braid.flink;

/** A value with its place in the order of events: by (event_time, event_id), and by itself where two events share both. */
final class Placed {
    final String value;
    final long eventTime;
    final String eventId;
    /** Of a setting, whether it switches the value on. */
    final boolean on;

    Placed(String value, long eventTime, String eventId, boolean on) {
        this.value = value;
        this.eventTime = eventTime;
        this.eventId = eventId;
        this.on = on;
    }

    boolean isNewerThan(Placed other) {
        if (eventTime != other.eventTime) {
            return eventTime > other.eventTime;
        }
        int byId = compare(eventId, other.eventId);
        return byId != 0 ? byId > 0 : compare(value, other.value) > 0;
    }

    /**
     * Compares by code points, as Spark (bytes of UTF-8) and Python do; Java's own order is by UTF-16 units, where
     * U+FF5E comes after an emoji.
     */
    static int compare(String one, String other) {
        int length = Math.min(one.length(), other.length());
        for (int at = 0; at < length; at++) {
            char a = one.charAt(at);
            char b = other.charAt(at);
            if (a != b) {
                boolean bothOrNeither = Character.isSurrogate(a) == Character.isSurrogate(b);
                return bothOrNeither ? Character.compare(a, b) : Character.isSurrogate(a) ? 1 : -1;
            }
        }
        return Integer.compare(one.length(), other.length());
    }
}
