"""A second reader: takes the artifacts' texts and the topology alone, and says what does not agree.

It shares no code with what it checks. Readers (`domain`, `bootline`, `settings`, `units`) turn files into values with spans;
checks (`cpus`, `nodes`, `pages`, `agreement`, `identity`, `faithful`) compare the values.
"""
