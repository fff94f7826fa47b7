"""Filters of recorded poses: one file a filter, one table.

A filter takes measured tracks and gives points for every row. They share the rules of what is missing
(`deploy.offline.filters.table`): a measurement below the cutoff counts as none, a row that is bridged gets a
point, any other row without a measurement stays NaN. Confidences stay as they were measured.
"""
