// Package report is what the commands tell of services: data that becomes JSON as it is, and its text for people.
package report
