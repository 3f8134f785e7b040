"""A local AWS Batch: job definitions from the template, jobs as child processes, the four calls that boto3 makes."""
