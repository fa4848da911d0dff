//! Signed webhooks: schedule, egress guard and deliverer
