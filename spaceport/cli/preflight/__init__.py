"""`spaceport doctor --stack`: what an AWS account lacks before the first deploy, and a deployed stack after it."""
